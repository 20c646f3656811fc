/** What programs do with S3 every day has the same outcome through the SDK's own handler and through ours. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { gzipSync } from 'node:zlib'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadBucketCommand,
  type HeadBucketCommandInput,
  type HeadBucketCommandOutput,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { FetchHttpHandler } from '@smithy/fetch-http-handler'
import { SignatureV4 } from '@smithy/signature-v4'
import type { FinalizeRequestMiddleware } from '@smithy/types'
import { expect, test } from 'vitest'
import { testClient } from '../../support/client.ts'
import { pattern } from '../../support/shapes.ts'
import { bucket, type Handler, plain, sdk, startS3, tell } from './support.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

const MiB = 1024 * 1024
const large = pattern(6 * MiB)
const odd = "a folder/a b+c&=~!'()*é%41;:@$,ü.txt"
const Bucket = bucket

const hash = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')

async function get(s3: S3Client, Key: string, more: Partial<GetObjectCommandInput> = {}) {
  const { Body, ...head } = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }))
  if (Body === undefined) throw new Error('no body')
  return { body: Body as Readable & typeof Body, head }
}

const attempt = (...call: Parameters<typeof get>): Promise<unknown> =>
  tell(
    get(...call).then(async ({ body, head }) => {
      await body.transformToString()
      return head.$metadata.httpStatusCode
    }),
  )

/** In this order: later ones find what earlier ones have stored. */
const steps: Record<string, (s3: S3Client, url: string) => Promise<unknown>> = {
  'the bucket is there': async (s3) =>
    (await s3.send(new HeadBucketCommand({ Bucket }))).$metadata.httpStatusCode,
  'text is stored': async (s3) => {
    const input = {
      Bucket,
      Key: 'text',
      Body: 'hello',
      ContentType: 'text/plain',
      Metadata: { colour: 'red' },
    }
    return (await s3.send(new PutObjectCommand(input))).ETag
  },
  'nothing is stored': async (s3) =>
    (await s3.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: '', ContentLength: 0 }))).ETag,
  'bytes are stored, above the size for which the SDK asks first': async (s3) =>
    (await s3.send(new PutObjectCommand({ Bucket, Key: 'large', Body: large }))).ETag,
  'a stream of known length is stored': async (s3) => {
    const Body = Readable.from([large.subarray(0, MiB), large.subarray(MiB)], { objectMode: false })
    return (await s3.send(new PutObjectCommand({ Bucket, Key: 'stream', Body, ContentLength: large.length })))
      .ETag
  },
  'an odd key is stored': async (s3) =>
    (await s3.send(new PutObjectCommand({ Bucket, Key: odd, Body: Buffer.from('odd') }))).ETag,
  'multipart upload, with progress': async (s3) => {
    const params = { Bucket, Key: 'multipart', Body: Readable.from([large, large]) }
    const upload = new Upload({ client: s3, params, partSize: 5 * MiB, queueSize: 3 })
    let loaded = 0
    upload.on('httpUploadProgress', (progress) => (loaded = Math.max(loaded, progress.loaded ?? 0)))
    const { Key, ETag } = await upload.done()
    return { Key, ETag, loaded }
  },
  'the head of an object': async (s3) => {
    const { $metadata, LastModified, ...head } = await s3.send(new HeadObjectCommand({ Bucket, Key: 'text' }))
    return { head, status: $metadata.httpStatusCode, isDate: LastModified instanceof Date }
  },
  transformToString: async (s3) => {
    const { body, head } = await get(s3, 'text')
    return { text: await body.transformToString(), type: head.ContentType, metadata: head.Metadata }
  },
  'transformToString, base64': async (s3) => (await get(s3, odd)).body.transformToString('base64'),
  'an empty object': async (s3) => (await get(s3, 'empty')).body.transformToString(),
  transformToByteArray: async (s3) => hash(await (await get(s3, 'large')).body.transformToByteArray()),
  transformToWebStream: async (s3) => {
    const stream = (await get(s3, 'multipart')).body.transformToWebStream()
    return hash(Buffer.from(await new Response(stream).arrayBuffer()))
  },
  'a second reading is refused': async (s3) => {
    const { body } = await get(s3, 'text')
    await body.transformToString()
    return tell(body.transformToString())
  },
  'a pipeline': async (s3) => {
    const sum = createHash('md5')
    await pipeline((await get(s3, 'stream')).body, sum)
    return sum.digest('hex')
  },
  'a loop over chunks': async (s3) => {
    let length = 0
    for await (const chunk of (await get(s3, 'large')).body) length += (chunk as Buffer).length
    return length
  },
  'an encoding': async (s3) => {
    const { body } = await get(s3, 'text')
    body.setEncoding('hex')
    const parts: unknown[] = []
    for await (const part of body) parts.push(part)
    return parts.join('')
  },
  'a range': async (s3) => {
    const { body, head } = await get(s3, 'large', { Range: 'bytes=100-299' })
    return {
      range: head.ContentRange,
      length: head.ContentLength,
      hash: hash(await body.transformToByteArray()),
    }
  },
  'a download that is left and resumed': async (s3) => {
    const parts: Buffer[] = []
    let length = 0
    const { body, head } = await get(s3, 'large')
    for await (const chunk of body) {
      parts.push(chunk as Buffer)
      length += (chunk as Buffer).length
      if (length > MiB) break
    }
    const rest = await get(s3, 'large', { Range: `bytes=${length}-`, IfMatch: head.ETag })
    parts.push(Buffer.from(await rest.body.transformToByteArray()))
    return hash(Buffer.concat(parts))
  },
  'an object that is stored encoded': async (s3) => {
    const Body = gzipSync('a text')
    await s3.send(new PutObjectCommand({ Bucket, Key: 'gzip', Body, ContentEncoding: 'gzip' }))
    const { body, head } = await get(s3, 'gzip')
    return { coding: head.ContentEncoding, isAsStored: Body.equals(await body.transformToByteArray()) }
  },
  'a listing': async (s3) => {
    const { Contents = [], IsTruncated } = await s3.send(
      new ListObjectsV2Command({ Bucket, EncodingType: 'url' }),
    )
    return { IsTruncated, keys: Contents.map(({ Key, Size }) => [Key, Size]) }
  },
  'a listing of folders': async (s3) => {
    const input = { Bucket, Delimiter: '/', Prefix: '', StartAfter: "a b'()*" }
    const { CommonPrefixes, KeyCount } = await s3.send(new ListObjectsV2Command(input))
    return { CommonPrefixes, KeyCount }
  },
  'a copy': async (s3) => {
    const CopySource = `${Bucket}/${encodeURIComponent('text')}`
    return (await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource }))).CopyObjectResult?.ETag
  },
  'a URL signed before': async (s3, url) => {
    const { credentials, region, sha256 } = s3.config
    const signer = new SignatureV4({ service: 's3', credentials, region, sha256, uriEscapePath: false })
    const { port, hostname, host } = new URL(url)
    const path = `/${Bucket}/text`
    const signed = await signer.presign({
      method: 'GET',
      protocol: 'http:',
      hostname,
      port: Number(port),
      path,
      headers: { host },
      query: { 'response-content-type': 'a/b;c="d"' },
    })
    const handle = s3.config.requestHandler.handle.bind(s3.config.requestHandler)
    const { response } = await handle({ ...signed, path, headers: { host } } as never)
    let text = ''
    for await (const chunk of response.body as Readable) text += Buffer.from(chunk as Uint8Array).toString()
    return { status: response.statusCode, type: response.headers['content-type'], text }
  },
  'a missing object': async (s3) => attempt(s3, 'missing'),
  'a missing object, by HEAD': async (s3) => tell(s3.send(new HeadObjectCommand({ Bucket, Key: 'missing' }))),
  'a missing bucket': async (s3) => tell(s3.send(new ListObjectsV2Command({ Bucket: 'missing' }))),
  'an unknown key id': async (s3) => {
    const command = new HeadBucketCommand({ Bucket })
    const spoil: FinalizeRequestMiddleware<HeadBucketCommandInput, HeadBucketCommandOutput> =
      (next) => (args) => {
        const { headers } = args.request as { headers: Record<string, string> }
        headers['authorization'] = headers['authorization']?.replace('=S3RVER/', '=OTHER/') ?? ''
        return next(args)
      }
    command.middlewareStack.addRelativeTo(spoil, { relation: 'after', toMiddleware: 'httpSigningMiddleware' })
    return tell(s3.send(command))
  },
  'not modified': async (s3) => {
    const { head, body } = await get(s3, 'text')
    await body.transformToString()
    return attempt(s3, 'text', { IfNoneMatch: head.ETag })
  },
  'a precondition that fails': async (s3) => attempt(s3, 'text', { IfMatch: '"other"' }),
  'an abort before the call': async (s3) =>
    tell(s3.send(new GetObjectCommand({ Bucket, Key: 'text' }), { abortSignal: AbortSignal.abort() })),
  'an abort in the middle of a download': async (s3) => {
    const controller = new AbortController()
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: 'multipart' }), {
      abortSignal: controller.signal,
    })
    let length = 0
    const read = async (): Promise<void> => {
      for await (const chunk of Body as Readable) {
        length += (chunk as Buffer).length
        controller.abort()
      }
    }
    const { code } = (await read().then(
      () => ({ code: 'none' }),
      (error: unknown) => error,
    )) as { code: string }
    return { code, isCut: length < 2 * large.length }
  },
  'objects are deleted': async (s3) => {
    const one = await s3.send(new DeleteObjectCommand({ Bucket, Key: odd }))
    const Objects = ['text', 'empty', 'large', 'stream', 'multipart', 'copy', 'gzip'].map((Key) => ({ Key }))
    const many = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
    const left = await s3.send(new ListObjectsV2Command({ Bucket }))
    return { status: one.$metadata.httpStatusCode, deleted: many.Deleted?.length, left: left.KeyCount }
  },
}

async function cycle(handler: Handler, config = {}): Promise<Record<string, unknown>> {
  await using storage = await startS3()
  await using own = sdk(handler, storage.url, { ...plain, ...config })
  const outcomes: Record<string, unknown> = {}
  for (const [name, step] of Object.entries(steps)) outcomes[name] = await tell(step(own.s3, storage.url))
  return outcomes
}

test('every step of the cycle has the same outcome', async () => {
  const expected = await cycle('the SDK’s own')
  const failed = Object.entries(expected).filter(([, outcome]) => !Object.hasOwn(outcome as object, 'value'))
  expect(failed).toEqual([])
  const refused = (name: string, status: number): object => ({ value: { name, status, attempts: 1 } })
  expect(expected).toMatchObject({
    'multipart upload, with progress': { value: { loaded: 2 * large.length } },
    'a second reading is refused': { value: { message: 'The stream has already been transformed.' } },
    'a loop over chunks': { value: large.length },
    'a download that is left and resumed': { value: hash(large) },
    'an object that is stored encoded': { value: { coding: 'gzip', isAsStored: true } },
    'a missing object': refused('NoSuchKey', 404),
    'a missing object, by HEAD': refused('NotFound', 404),
    'an unknown key id': { value: { status: 403 } },
    'not modified': { value: { status: 304 } },
    'an abort before the call': { value: { name: 'AbortError' } },
    'an abort in the middle of a download': { value: { code: 'ECONNRESET', isCut: true } },
    'objects are deleted': { value: { left: 0 } },
  })
  expect(await cycle('ours')).toEqual(expected)
}, 60_000)

test('FetchHttpHandler on a client that does not decode: every step that web streams can take has the same outcome', async () => {
  const expected = await cycle('the SDK’s own')
  await using client = testClient({ connections: 8, decompress: false })
  const outcomes = await cycle('the SDK’s own', {
    requestHandler: new FetchHttpHandler({ customFetch: client.fetch }),
  })
  const isOfNode = ([name]: [string, unknown]): boolean =>
    name === 'an encoding' || name.startsWith('an abort in')
  const rest = (all: Record<string, unknown>): unknown =>
    Object.fromEntries(Object.entries(all).filter((each) => !isOfNode(each)))
  expect(rest(outcomes)).toEqual(rest(expected))
}, 60_000)
