/** `decompress: false`: body and headers as they came, on both lanes; without it, nothing has changed. */
import { createHash } from 'node:crypto'
import zlib from 'node:zlib'
import { Readable } from 'node:stream'
import { MockAgent } from 'undici'
import { expect, test } from 'vitest'
import { type Client, InvalidOptionError } from '../../src/index.ts'
import { bothLanes as lanes, testClient, works } from '../support/client.ts'
import { tls } from '../support/h2.ts'
import { createHttp2Recorder } from '../support/recorder-h2.ts'
import { createRecorder, type Recorder, type Script } from '../support/recorder.ts'
import { until } from '../support/until.ts'

const text = 'a text that is worth compressing '.repeat(400)
const coders: Record<string, (bytes: Buffer) => Buffer> = {
  gzip: zlib.gzipSync,
  'X-GZip': zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: zlib.brotliCompressSync,
  zstd: zlib.zstdCompressSync,
  'gzip, br': (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes)),
  unknown: (bytes) => bytes,
  // More than fetch takes.
  'gzip, gzip, gzip, gzip, gzip, gzip': (bytes) => bytes,
  // Not what it says.
  'x-gzip': (bytes) => bytes,
}
const coded = (coding: string): Buffer => (coders[coding] as (typeof coders)[string])(Buffer.from(text))

const serve: Script = async (request, reply) => {
  await reply.whole
  const [, kind = '', coding = ''] = decodeURIComponent(request.target).split('/')
  if (kind === 'ok') return reply.send(200, [], 'ok')
  const headers = [
    ['content-encoding', coding],
    ['x-twice', '1'],
    ['x-twice', '2'],
  ] as const
  if (kind === 'moved') return reply.send(302, [...headers, ['location', `/coded/${coding}`]], coded(coding))
  reply.send(200, headers, request.method === 'HEAD' ? '' : coded(coding))
}

const raw = { decompress: false }

for (const [protocol, create] of [
  ['HTTP/1.1', createRecorder],
  ['HTTP/2', createHttp2Recorder],
] as const) {
  for (const [lane, init] of lanes) {
    const use = async (
      scenario: (client: Client, recorder: Recorder) => Promise<unknown>,
      options = {},
    ): Promise<void> => {
      await using recorder = await create(serve)
      await using client = testClient({ connections: 2, tls: { ca: tls.cert }, ...options })
      await scenario(client, recorder)
      await works(client, recorder.url)
    }
    const name = `${lane}, ${protocol}`

    for (const coding of Object.keys(coders)) {
      test(`${name}: a body of coding "${coding}" is handed on as it came`, () =>
        use(async (client, { url }) => {
          const address = `${url}/coded/${encodeURIComponent(coding)}`
          const response = await client.fetch(address, { ...init, ...raw })
          expect(response.headers.get('content-encoding')).toBe(coding)
          expect(response.headers.get('x-twice')).toBe('1, 2')
          expect(Buffer.from(await response.arrayBuffer()).equals(coded(coding))).toBe(true)
          if (coding.length > 10 || coding === 'x-gzip') return
          const decoded = await client.fetch(address, init)
          expect(decoded.headers.get('content-encoding')).toBe(coding)
          expect(await decoded.text()).toBe(text)
        }))
    }

    test(`${name}: as a stream, cloned, and in the halves of a clone`, () =>
      use(async (client, { url }) => {
        const get = (): Promise<Response> => client.fetch(`${url}/coded/br`, { ...init, ...raw })
        const whole = (body: ReadableStream | null): Promise<Buffer[]> =>
          Readable.fromWeb(body as never).toArray() as Promise<Buffer[]>
        expect(Buffer.concat(await whole((await get()).body)).equals(coded('br'))).toBe(true)
        const first = await get()
        const second = first.clone()
        expect(Buffer.from(await second.arrayBuffer()).equals(coded('br'))).toBe(true)
        expect(Buffer.concat(await whole(first.body)).equals(coded('br'))).toBe(true)
        const third = await get()
        await until(() => client.stats().requests.inFlight === 0, 'arrived')
        const [left, right] = [third.clone(), third]
        expect((await left.bytes()).length).toBe(coded('br').length)
        expect((await right.bytes()).length).toBe(coded('br').length)
      }))

    test(`${name}: HEAD has the headers, and no body`, () =>
      use(async (client, { url }) => {
        const response = await client.fetch(`${url}/coded/gzip`, { ...init, ...raw, method: 'HEAD' })
        expect(response.headers.get('content-encoding')).toBe('gzip')
        expect(await response.text()).toBe('')
      }))

    test(`${name}: through a redirect`, () =>
      use(async (client, { url }) => {
        const response = await client.fetch(`${url}/moved/gzip`, { ...init, ...raw })
        expect(response.redirected).toBe(true)
        expect(Buffer.from(await response.arrayBuffer()).equals(coded('gzip'))).toBe(true)
        const manual = await client.fetch(`${url}/moved/gzip`, { ...init, ...raw, redirect: 'manual' })
        expect(Buffer.from(await manual.arrayBuffer()).equals(coded('gzip'))).toBe(true)
      }))

    test(`${name}: the request is the same`, () =>
      use(async (client, { url, seen }) => {
        await (await client.fetch(`${url}/coded/gzip`, { ...init, ...raw })).text()
        await (await client.fetch(`${url}/coded/gzip`, init)).text()
        expect(seen[0]?.headers).toEqual(seen[1]?.headers)
        const accepted = seen[0]?.headers.find(([each]) => each.toLowerCase() === 'accept-encoding')?.[1]
        expect(accepted).toContain('gzip')
      }))

    test(`${name}: of a client, and a call’s own wins`, () =>
      use(
        async (client, { url }) => {
          const get = async (more = {}): Promise<number> =>
            (await (await client.fetch(`${url}/coded/gzip`, { ...init, ...more })).bytes()).length
          expect(await get()).toBe(coded('gzip').length)
          expect(await get({ decompress: undefined })).toBe(coded('gzip').length)
          expect(await get({ decompress: true })).toBe(text.length)
        },
        { decompress: false },
      ))

    test(`${name}: maxResponseSize counts the bytes that came`, () =>
      use(
        async (client, { url }) => {
          const get = async (more = {}): Promise<number> =>
            (await (await client.fetch(`${url}/coded/gzip`, { ...init, ...more })).bytes()).length
          expect(await get(raw)).toBe(coded('gzip').length)
          await expect(get()).rejects.toThrow(/maxResponseSize/)
        },
        { maxResponseSize: 1_000 },
      ))
  }
}

test('with a Request of Node’s', async () => {
  await using recorder = await createRecorder(serve)
  await using client = testClient()
  const response = await client.fetch(new Request(`${recorder.url}/coded/gzip`), raw)
  expect(Buffer.from(await response.arrayBuffer()).equals(coded('gzip'))).toBe(true)
})

test('with integrity metadata, which is then of the bytes that came', async () => {
  const sum = createHash('sha256').update(coded('gzip')).digest('base64')
  await using recorder = await createRecorder(serve)
  await using client = testClient()
  const integrity = `sha256-${sum}`
  const response = await client.fetch(`${recorder.url}/coded/gzip`, { ...raw, integrity })
  expect((await response.bytes()).length).toBe(coded('gzip').length)
  await expect(client.fetch(`${recorder.url}/coded/gzip`, { integrity })).rejects.toThrow()
})

test('with MockAgent', async () => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  const reply = mock
    .get('http://localhost')
    .intercept({ path: '/' })
    .reply(200, coded('gzip'), {
      headers: { 'content-encoding': 'gzip' },
    })
  reply.times(2)
  await using client = testClient()
  for (const [, init] of lanes) {
    const response = await client.fetch('http://localhost/', { ...init, ...raw, dispatcher: mock })
    expect((await response.bytes()).length).toBe(coded('gzip').length)
  }
  await mock.close()
})

test('anything but true and false is refused', async () => {
  await using client = testClient()
  const call = client.fetch('http://localhost', { decompress: 'no' as never })
  await expect(call).rejects.toThrow(InvalidOptionError)
  await expect(call).rejects.toThrow('Option init.decompress must be true or false, got "no"')
  expect(() => testClient({ decompress: 0 as never })).toThrow(
    'Option decompress must be true or false, got 0',
  )
})
