/**
 * S3 on a client of its own, with the AWS SDK. By default against s3rver in this process; against a real endpoint with S3_ENDPOINT,
 * S3_BUCKET and the SDK's own variables (AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY).
 */
import { createRequire } from 'node:module'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { awsRequestHandler } from '../src/adapters/aws.ts'
import { createClient } from '../src/index.ts'

const { S3_ENDPOINT, S3_BUCKET: Bucket = 'bucket' } = process.env
const embedded = S3_ENDPOINT === undefined ? await startEmbedded() : undefined

const client = createClient({ name: 's3', connections: 16 })
const s3 = new S3Client({
  endpoint: S3_ENDPOINT ?? embedded?.url ?? '',
  forcePathStyle: true,
  requestHandler: awsRequestHandler(client),
  // s3rver stores the SDK's checksum framing as content; the real service needs neither of these three.
  ...(embedded && {
    requestChecksumCalculation: 'WHEN_REQUIRED',
    region: 'us-east-1',
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
  }),
})

const Key = 'drained example'
await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'hello from S3' }))
const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
console.log(await Body?.transformToString())

// Only the size is of interest: nobody reads these bodies, and nobody has to.
const kept: unknown[] = []
for (let i = 0; i < 60; i++) kept.push((await s3.send(new GetObjectCommand({ Bucket, Key }))).ContentLength)
const { opened } = client.stats().sockets
console.log(`${kept.length} answers, none read, ${opened <= 4 ? 'at most 4' : opened} connections`)

const large = { Bucket, Key: `${Key}, large`, Body: Buffer.alloc(12 * 1024 * 1024, 'x') }
const { ETag } = await new Upload({ client: s3, params: large }).done()
console.log(`uploaded in parts: ${ETag}`)
for (const each of [Key, large.Key]) await s3.send(new DeleteObjectCommand({ Bucket, Key: each }))

s3.destroy()
await client.close()
await embedded?.close()

async function startEmbedded(): Promise<{ url: string; close(): Promise<void> }> {
  const S3rver = createRequire(import.meta.url)('s3rver') as new (options: object) => {
    run(): Promise<{ port: number }>
    close(): Promise<void>
  }
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'drained-s3-'))
  const options = { port: 0, address: '127.0.0.1', silent: true, directory }
  const server = new S3rver({ ...options, configureBuckets: [{ name: Bucket }] })
  const { port } = await server.run()
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      await server.close()
      fs.rmSync(directory, { recursive: true })
    },
  }
}
