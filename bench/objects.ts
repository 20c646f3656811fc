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

/** Read as bytes, as a stream, or as a stream without anything of the SDK but its handler. */
type Way = 'bytes' | 'stream' | 'alone'

const through =
  (handler: () => object | undefined, way: Way): Make =>
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
    const { hostname, port, host, pathname: path } = new URL(url)
    const [, Bucket = '', Key = ''] = path.split('/')
    const handle = s3.config.requestHandler.handle.bind(s3.config.requestHandler)
    const query = { 'x-id': 'GetObject' }
    const signed = {
      method: 'GET',
      protocol: 'http:',
      hostname,
      port: Number(port),
      path,
      query,
      headers: { host },
    }
    return async () => {
      const Body =
        way === 'alone'
          ? (await handle(signed as never)).response.body
          : (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body
      if (way === 'bytes') return (await Body?.transformToByteArray())?.length
      let bytes = 0
      for await (const chunk of Body as AsyncIterable<Uint8Array>) bytes += chunk.length
      return bytes
    }
  }

const calls = (way: Way): Record<string, Make> =>
  Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, through(handler, way)]))

export const objectCalls: Record<string, Record<string, Make>> = {
  objects: calls('bytes'),
  objectStreams: calls('stream'),
  objectsAlone: calls('alone'),
}
