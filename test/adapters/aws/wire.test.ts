/** What the SDK signs is what arrives: the same requests, byte for byte, as through its own handler, and signatures that hold. */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { SignatureV4 } from '@smithy/signature-v4'
import fc from 'fast-check'
import { MockAgent } from 'undici'
import { expect, test } from 'vitest'
import { type AwsRequest, awsRequestHandler } from '../../../src/adapters/aws.ts'
import { createClient } from '../../../src/index.ts'
import { testClient } from '../../support/client.ts'
import { tls } from '../../support/h2.ts'
import { createOrigin } from '../../support/origin.ts'
import { createHttp2Recorder } from '../../support/recorder-h2.ts'
import { pattern } from '../../support/shapes.ts'
import { bucket as Bucket, type Handler, handlers, plain, type Sdk, sdk } from './support.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

interface Recorded {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface Recorder extends AsyncDisposable {
  readonly url: string
  readonly seen: Recorded[]
}

const MiB = 1024 * 1024
const digest = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex')

async function createRecorder(): Promise<Recorder> {
  const seen: Recorded[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const bytes = Buffer.concat(parts)
      const { method = '', url = '', headers } = request
      const body = bytes.length < 2_000 ? bytes.toString('latin1') : `${bytes.length} bytes, ${digest(bytes)}`
      seen.push({ method, url, headers: headers as Record<string, string>, body })
      response.writeHead(200, { etag: '"a"' })
      response.end(method === 'HEAD' || method === 'PUT' ? '' : '<a></a>')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

const Key = "a folder/a b+c&=~!'()*é%41;:@$,ü?#.txt"
const bytes = pattern(3 * MiB)
const stream = (): Readable =>
  Readable.from([bytes.subarray(0, 100), bytes.subarray(100)], { objectMode: false })
const part = { Bucket, Key, UploadId: 'an id/+=', PartNumber: 1 }

const calls: Record<string, (s3: S3Client) => Promise<unknown>> = {
  'text, with metadata': (s3) => {
    const Metadata = { colour: 'red, green', 'with-space': '  a  b  ' }
    return s3.send(new PutObjectCommand({ Bucket, Key, Body: 'tëxt', Metadata, ContentType: 'text/plain' }))
  },
  'bytes, above the size for which the SDK asks first': (s3) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body: bytes })),
  'a view of bytes': (s3) =>
    s3.send(
      new PutObjectCommand({ Bucket, Key, Body: new Uint8Array(bytes.buffer, bytes.byteOffset + 7, 500) }),
    ),
  'no bytes': (s3) => s3.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(0) })),
  'a stream': (s3) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body: stream(), ContentLength: bytes.length })),
  'a part': (s3) => s3.send(new UploadPartCommand({ ...part, Body: bytes })),
  'a part from a stream': (s3) =>
    s3.send(new UploadPartCommand({ ...part, Body: stream(), ContentLength: bytes.length })),
  'a stream with a checksum of its own': (s3) =>
    s3.send(
      new PutObjectCommand({
        Bucket,
        Key,
        Body: stream(),
        ContentLength: bytes.length,
        ChecksumAlgorithm: 'SHA256',
      }),
    ),
  'PUT without a body': (s3) => s3.send(new CopyObjectCommand({ Bucket, Key, CopySource: 'a/b%20c' })),
  'POST without a body': (s3) =>
    s3.send(new CreateMultipartUploadCommand({ Bucket, Key, StorageClass: 'STANDARD' })),
  'POST with a body': (s3) => s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key }] } })),
  'a query without a value': (s3) =>
    s3.send(new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet: [{ Key: 'a', Value: 'é' }] } })),
  'a query in every character': (s3) =>
    s3.send(
      new GetObjectCommand({
        Bucket,
        Key,
        VersionId: "~-._ !'()*+",
        ResponseContentType: 'a/b; c="ü"',
        ResponseContentDisposition: 'attachment; filename="%41&=?#[]@"',
        Range: 'bytes=0-9',
      }),
    ),
  'a listing': (s3) =>
    s3.send(
      new ListObjectsV2Command({
        Bucket,
        Prefix: Key,
        Delimiter: '/',
        MaxKeys: 7,
        ContinuationToken: 'a+/=',
      }),
    ),
}

/** Of the moment, or of the connection; all the rest must be the same. */
const volatile = ['x-amz-date', 'authorization', 'amz-sdk-invocation-id', 'host', 'connection', 'expect']

function comparable({ headers, ...request }: Recorded | undefined = {} as Recorded): object {
  const rest = Object.entries(headers).filter(([name]) => !volatile.includes(name))
  return { ...request, headers: Object.fromEntries(rest.toSorted(([a], [b]) => (a < b ? -1 : 1))) }
}

/** The signature of what arrived, computed again. */
async function isSigned({ s3 }: Sdk, { method, url, headers }: Recorded): Promise<boolean> {
  const { credentials, region, sha256 } = s3.config
  const signer = new SignatureV4({ service: 's3', credentials, region, sha256, uriEscapePath: false })
  const signed = /SignedHeaders=([^,]+)/.exec(headers['authorization'] ?? '')?.[1]?.split(';') ?? []
  const [path = '', search = ''] = url.split('?')
  const pairs = search === '' ? [] : search.split('&').map((pair) => pair.split('=').map(decodeURIComponent))
  const again = await signer.sign(
    {
      method,
      protocol: 'http:',
      hostname: '127.0.0.1',
      path,
      query: Object.fromEntries(pairs.map(([name, value = '']) => [name, value])) as Record<string, string>,
      headers: Object.fromEntries(signed.map((name) => [name, headers[name] ?? ''])),
    },
    { signingDate: new Date((headers['x-amz-date'] ?? '').replace(/(....)(..)(..T..)(..)/, '$1-$2-$3:$4:')) },
  )
  return again.headers['authorization'] === headers['authorization']
}

async function record(
  handler: Handler,
  call: (s3: S3Client) => Promise<unknown>,
  config = {},
): Promise<object> {
  await using recorder = await createRecorder()
  await using own = sdk(handler, recorder.url, config)
  await call(own.s3).catch((error: Error) => {
    // The answer is no XML of S3: that it came is all that matters.
    if (recorder.seen.length === 0) throw error
  })
  const [request] = recorder.seen
  return { ...comparable(request), isSigned: await isSigned(own, request as Recorded) }
}

for (const [name, call] of Object.entries(calls)) {
  for (const [checksums, config] of [
    ['default checksums', {}],
    ['checksums when required', plain],
  ] as const) {
    test(`${name}, ${checksums}: the same request, and its signature holds`, async () => {
      const expected = await record('the SDK’s own', call, config)
      expect(expected).toMatchObject({ isSigned: true })
      expect(await record('ours', call, config)).toEqual(expected)
    })
  }
}

test('a stream with default checksums is sent in chunks with a trailer', async () => {
  await using recorder = await createRecorder()
  await using own = sdk('ours', recorder.url)
  const Body = Readable.from(['abc', 'def'])
  await own.s3.send(new PutObjectCommand({ Bucket, Key, Body, ContentLength: 6 }))
  const [request] = recorder.seen
  expect(request?.headers).toMatchObject({
    'transfer-encoding': 'chunked',
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': '6',
    'x-amz-trailer': 'x-amz-checksum-crc32',
  })
  expect(request?.body).toMatch(/^3\r\nabc\r\n3\r\ndef\r\n0\r\nx-amz-checksum-crc32:.{8}\r\n\r\n$/)
})

test('over HTTP/2 the host is the one that was signed', async () => {
  await using recorder = await createHttp2Recorder()
  await using own = sdk('ours', recorder.url, plain, { tls: { ca: tls.cert } })
  const { Body } = await own.s3.send(new GetObjectCommand({ Bucket, Key }))
  expect(await Body?.transformToString()).toBe('ok')
  const fields = Object.fromEntries(recorder.seen[0]?.headers ?? [])
  expect(fields[':authority']).toBe(new URL(recorder.url).host)
  const { method, target: url } = recorder.seen[0] as { method: string; target: string }
  expect(
    await isSigned(own, { method, url, headers: { ...fields, host: fields[':authority'] ?? '' }, body: '' }),
  ).toBe(true)
})

test('web streams and Blobs are sent, too', async () => {
  await using recorder = await createRecorder()
  await using own = sdk('ours', recorder.url, plain)
  const { requestHandler } = own.s3.config
  for (const body of [new Blob(['abc']).stream(), new Blob(['abc'])])
    await requestHandler.handle({
      method: 'PUT',
      protocol: 'http:',
      hostname: '127.0.0.1',
      port: Number(new URL(recorder.url).port),
      path: '/b/k',
      query: {},
      headers: {},
      body,
    } as never)
  expect(recorder.seen.map(({ body }) => body)).toEqual(['abc', 'abc'])
})

const direct = (more: object): AwsRequest => ({
  method: 'GET',
  protocol: 'http:',
  hostname: '127.0.0.1',
  path: '/',
  headers: {},
  ...more,
})

test('headers of the connection and Expect are not sent; what undici would refuse is none of the request', async () => {
  await using recorder = await createRecorder()
  await using client = testClient()
  const headers = {
    Connection: 'close',
    'Keep-Alive': 'timeout=1',
    'proxy-connection': 'x',
    'Transfer-Encoding': 'chunked',
    upgrade: 'h2c',
    Expect: '100-continue',
    'x-kept': 'yes',
  }
  const port = Number(new URL(recorder.url).port)
  const { response } = await awsRequestHandler(client).handle(direct({ port, headers }))
  response.body.destroy()
  expect(recorder.seen[0]?.headers).toEqual({
    host: `127.0.0.1:${port}`,
    connection: 'keep-alive',
    'x-kept': 'yes',
  })
})

test('headers of a response come as with the SDK’s own handler: of what means nothing in a list the first', async () => {
  const twice = [
    'retry-after',
    'etag',
    'content-type',
    'last-modified',
    'location',
    'x-amz-meta-a',
    'set-cookie',
  ]
  const fields = twice.flatMap((name) => [`${name}: 1`, `${name}: 2`])
  const lines = ['HTTP/1.1 503 Slow Down', ...fields, 'content-length: 0']
  const seen: unknown[] = []
  for (const handler of handlers) {
    await using origin = await createOrigin((_, reply) => reply.write(`${lines.join('\r\n')}\r\n\r\n`))
    await using own = sdk(handler, origin.url)
    const { response } = await own.s3.config.requestHandler.handle(direct({ port: origin.port }) as never)
    ;(response.body as Readable).destroy()
    seen.push(response.headers)
  }
  expect(seen[1]).toEqual(seen[0])
})

test('user and password, unless the request is authorized already', async () => {
  await using recorder = await createRecorder()
  await using client = testClient()
  const port = Number(new URL(recorder.url).port)
  for (const headers of [{}, { authorization: 'mine' }]) {
    const request = direct({ port, headers, username: 'me', password: 'p:w' })
    const { response } = await awsRequestHandler(client).handle(request)
    response.body.destroy()
  }
  const sent = recorder.seen.map(({ headers }) => headers['authorization'])
  expect(sent).toEqual([`Basic ${Buffer.from('me:p:w').toString('base64')}`, 'mine'])
})

test.each(['::1', '[::1]'])('an address of IPv6: %s', async (hostname) => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  mock.get('http://[::1]:8080').intercept({ path: '/' }).reply(200, 'ok')
  const client = createClient({ dispatcher: mock })
  const { response } = await awsRequestHandler(client).handle(direct({ hostname, port: 8080 }))
  expect((await response.body.toArray()).join('')).toBe('ok')
  await client.close()
  await mock.close()
})

test('property: any key and any query arrive as they were signed', async () => {
  await using recorder = await createRecorder()
  await using own = sdk('ours', recorder.url, plain)
  // Keys whose path has dots alone are not for URLs; lone surrogates are no text.
  const text = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 20 })
    .filter((each) => each.isWellFormed())
  const key = text.filter((each) => !/(^|\/)\.{0,2}(\/|$)/.test(each))
  await fc.assert(
    fc.asyncProperty(key, text, async (Key, VersionId) => {
      const { Body } = await own.s3.send(new GetObjectCommand({ Bucket, Key, VersionId }))
      await Body?.transformToString()
      const request = recorder.seen.at(-1) as Recorded
      expect(await isSigned(own, request)).toBe(true)
      const url = new URL(request.url, recorder.url)
      expect(url.searchParams.get('versionId')).toBe(VersionId)
      expect(decodeURIComponent(url.pathname)).toBe(`/${Bucket}/${Key}`)
    }),
    { numRuns: 40 },
  )
}, 60_000)
