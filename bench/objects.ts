/** GetObject with client-s3, read to its end: through the SDK's own request handler, through ours, and through its fetch handler. */
import { FetchHttpHandler } from '@smithy/fetch-http-handler'
import { awsRequestHandler } from '../src/adapters/aws.ts'
import { createClient } from '../src/index.ts'
import type { Make } from './transfers.ts'

const handlers = {
  awsRequestHandler: () => awsRequestHandler(createClient()),
  "the SDK's own": () => undefined,
  'FetchHttpHandler on client.fetch': () => new FetchHttpHandler({ customFetch: createClient().fetch }),
} as const

const through =
  (handler: () => object | undefined, isWhole: boolean): Make =>
  async (url) => {
    const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3')
    const requestHandler = handler()
    const s3 = new S3Client({
      endpoint: new URL(url).origin,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      ...(requestHandler && { requestHandler }),
    })
    const [, Bucket = '', Key = ''] = new URL(url).pathname.split('/')
    return async () => {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
      if (isWhole) return (await Body?.transformToByteArray())?.length
      let bytes = 0
      for await (const chunk of Body as AsyncIterable<Uint8Array>) bytes += chunk.length
      return bytes
    }
  }

const calls = (isWhole: boolean): Record<string, Make> =>
  Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, through(handler, isWhole)]))

export const objectCalls: Record<string, Record<string, Make>> = {
  objects: calls(true),
  objectStreams: calls(false),
}
