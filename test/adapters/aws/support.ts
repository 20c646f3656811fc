/** The SDK with its own handler and with ours, on s3rver in this process; outcomes as plain data that can be compared. */
import { createRequire } from 'node:module'
import type { Server } from 'node:http'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { type AwsHandlerOptions, awsRequestHandler } from '../../../src/adapters/aws.ts'
import type { ClientOptions } from '../../../src/index.ts'
import { testClient } from '../../support/client.ts'

interface S3rver {
  readonly httpServer: Server
  run(): Promise<{ port: number }>
  close(): Promise<void>
}
type NewS3rver = new (options: object) => S3rver
const S3rver = createRequire(import.meta.url)('s3rver') as NewS3rver

export const bucket = 'bucket1'

export interface Storage extends AsyncDisposable {
  readonly url: string
  /** Connections accepted so far. */
  accepted: number
}

export async function startS3(): Promise<Storage> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'drained-s3-'))
  const server = new S3rver({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory,
    configureBuckets: [{ name: bucket }],
  })
  const { port } = await server.run()
  const self: Storage = {
    url: `http://127.0.0.1:${port}`,
    accepted: 0,
    async [Symbol.asyncDispose]() {
      server.httpServer.closeAllConnections()
      await server.close()
      fs.rmSync(directory, { recursive: true })
    },
  }
  server.httpServer.on('connection', () => self.accepted++)
  return self
}

/** Without aws-chunked framing, which s3rver stores as if it were content. */
export const plain: Partial<S3ClientConfig> = {
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED',
}

export type Handler = 'the SDK’s own' | 'ours'
export const handlers: readonly Handler[] = ['the SDK’s own', 'ours']

export interface Sdk extends AsyncDisposable {
  readonly s3: S3Client
  readonly client: ReturnType<typeof testClient>
}

export function sdk(
  handler: Handler,
  url: string,
  config: Partial<S3ClientConfig> = {},
  options: ClientOptions & { handler?: AwsHandlerOptions } = {},
): Sdk {
  const { handler: handlerOptions, ...clientOptions } = options
  const client = testClient({ connections: 8, ...clientOptions })
  const own = handler === 'ours' ? { requestHandler: awsRequestHandler(client, handlerOptions) } : {}
  const s3 = new S3Client({
    endpoint: url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
    ...config,
    ...own,
  })
  return {
    s3,
    client,
    async [Symbol.asyncDispose]() {
      s3.destroy()
      await client[Symbol.asyncDispose]()
    },
  }
}

/** What a program can tell errors of the SDK apart by. */
export function tellError(error: unknown): object {
  const { name, code, message, cause, $metadata, $fault } = error as Error & {
    code?: string
    $fault?: string
    $metadata?: { httpStatusCode?: number; attempts?: number }
  }
  const { httpStatusCode: status, attempts } = $metadata ?? {}
  const told = { name, code, message, fault: $fault, status, attempts }
  return name === 'AbortError' ? { ...told, cause } : told
}

export const tell = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then((value) => ({ value }), tellError)
