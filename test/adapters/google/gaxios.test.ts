/** gaxios, and with it Google's generated clients, on client.fetch: its everyday calls end as with the fetch it brings along. */
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { Gaxios, GaxiosError, type GaxiosOptions } from 'gaxios'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Gcs, startGcs } from '../../../examples/embedded/gcs.ts'
import { testClient } from '../../support/client.ts'
import { createOrigin } from '../../support/origin.ts'
import { pattern } from '../../support/shapes.ts'
import { until } from '../../support/until.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

const MiB = 1024 * 1024
const object = (name: string): string => `/storage/v1/b/bucket/o/${encodeURIComponent(name)}`
const upload = (name: string, more: GaxiosOptions): GaxiosOptions => ({
  url: '/upload/storage/v1/b/bucket/o',
  method: 'POST',
  params: { uploadType: 'media', name },
  ...more,
})
const odd = "a folder/a b+c&=~!'()*é.txt"

function tellError(error: unknown): object {
  const { name, status, code, message, response } = error as GaxiosError
  return { isGaxios: error instanceof GaxiosError, name, status, code, message, data: response?.data }
}

const steps: Record<string, (gaxios: Gaxios) => Promise<unknown>> = {
  'text is uploaded': async (gaxios) =>
    (await gaxios.request(upload('text', { data: 'hello', headers: { 'content-type': 'text/plain' } }))).data,
  'bytes are uploaded': async (gaxios) =>
    (await gaxios.request(upload(odd, { data: pattern(2 * MiB) }))).data,
  'a stream is uploaded': async (gaxios) =>
    (await gaxios.request(upload('stream', { data: Readable.from([pattern(MiB)], { objectMode: false }) })))
      .data,
  'metadata and media in one request': async (gaxios) => {
    const part = (type: string, content: string): object => ({
      headers: new Headers({ 'content-type': type }),
      content,
    })
    const multipart = [part('application/json', '{"name":"m"}'), part('text/plain', 'media')]
    const { data } = await gaxios.request<{ size: string }>(
      upload('multipart', { multipart } as GaxiosOptions),
    )
    // The boundary is of random letters, always as many.
    return data.size
  },
  'an object of JSON is sent and read': async (gaxios) => {
    await gaxios.request(upload('json', { data: { a: 1 } }))
    return (await gaxios.request({ url: object('json'), params: { alt: 'media' } })).data
  },
  'metadata is read': async (gaxios) => (await gaxios.request({ url: object(odd) })).data,
  'a download as bytes': async (gaxios) => {
    const options = { url: object(odd), params: { alt: 'media' }, responseType: 'arraybuffer' } as const
    const { data, status } = await gaxios.request<ArrayBuffer>(options)
    return { status, isWhole: pattern(2 * MiB).equals(Buffer.from(data)) }
  },
  'a download as a stream': async (gaxios) => {
    const options = { url: object('stream'), params: { alt: 'media' }, responseType: 'stream' } as const
    const { data } = await gaxios.request<Readable>(options)
    return pattern(MiB).equals(await buffer(data))
  },
  'the XML API': async (gaxios) => {
    await gaxios.request({ url: '/bucket/xml', method: 'PUT', data: 'by name' })
    return (await gaxios.request({ url: '/bucket/xml', responseType: 'text' })).data
  },
  'a listing': async (gaxios) =>
    (await gaxios.request({ url: '/storage/v1/b/bucket/o', params: { prefix: 'a folder/' } })).data,
  'a missing object': (gaxios) => gaxios.request({ url: object('missing') }).catch(tellError),
  'a missing object, as a stream': (gaxios) =>
    // node-fetch alone has no `data` here.
    gaxios
      .request({ url: object('missing'), responseType: 'stream' })
      .catch((error: unknown) => ({ ...tellError(error), data: undefined })),
  'an object is deleted': async (gaxios) => {
    const { status, data } = await gaxios.request({ url: object(odd), method: 'DELETE' })
    return { status, data }
  },
  'an abort before the call': (gaxios) =>
    gaxios
      .request({ url: object('text'), signal: AbortSignal.abort() })
      .catch((error: GaxiosError) => [error instanceof GaxiosError, error.code]),
}

let gcs: Gcs
beforeAll(async () => void (gcs = await startGcs()))
afterAll(() => gcs[Symbol.asyncDispose]())

async function play(options: GaxiosOptions): Promise<Record<string, unknown>> {
  await using own = await startGcs()
  const gaxios = new Gaxios({ ...options, baseURL: own.url })
  const outcomes: Record<string, unknown> = {}
  for (const [name, step] of Object.entries(steps)) outcomes[name] = await step(gaxios)
  return outcomes
}

test('every call ends as with the fetch that gaxios brings along', async () => {
  await using client = testClient({ connections: 2 })
  const expected = await play({})
  expect(expected).toMatchObject({
    'a download as bytes': { isWhole: true },
    'a download as a stream': true,
    'an object is deleted': { status: 204 },
  })
  expect(await play({ fetchImplementation: client.fetch })).toEqual(expected)
  expect(client.stats().sockets.opened).toBeLessThanOrEqual(2)
})

test('a 404 is a GaxiosError with what the service said', async () => {
  await using client = testClient()
  const gaxios = new Gaxios({ baseURL: gcs.url, fetchImplementation: client.fetch })
  const error: unknown = await gaxios.request({ url: object('missing') }).catch((error: unknown) => error)
  expect(error).toMatchObject({
    status: 404,
    message: 'No such object: bucket/missing',
    response: { status: 404, data: { error: { code: 404, errors: [{ reason: 'notFound' }] } } },
  })
})

test('retryConfig: two 503s, then the answer, all on one connection', async () => {
  await using client = testClient({ connections: 4 })
  const gaxios = new Gaxios({ baseURL: gcs.url, fetchImplementation: client.fetch })
  await gaxios.request(upload('retried', { data: 'hello', headers: { 'content-type': 'text/plain' } }))
  const before = gcs.seen.length
  gcs.failures = [503, 503]
  const { data } = await gaxios.request({
    url: object('retried'),
    params: { alt: 'media' },
    retryConfig: { retryBackoff: async () => {} },
  })
  expect(data).toBe('hello')
  expect(gcs.seen.length - before).toBe(3)
  expect(client.stats().sockets.opened).toBe(1)
})

test('retryConfig: a connection that is reset is tried again', async () => {
  let calls = 0
  await using origin = await createOrigin((_, reply) =>
    calls++ === 0 ? reply.reset() : reply.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
  )
  await using client = testClient()
  const gaxios = new Gaxios({ fetchImplementation: client.fetch })
  const retryConfig = { retryBackoff: async () => {} }
  expect((await gaxios.request({ url: origin.url, retryConfig })).data).toBe('ok')
})

test('a timeout is told as with its own fetch, and retried', async () => {
  await using origin = await createOrigin(() => {})
  await using client = testClient()
  for (const options of [{}, { fetchImplementation: client.fetch }]) {
    let retries = 0
    const retryConfig = { retry: 1, retryBackoff: async () => {}, onRetryAttempt: () => void retries++ }
    const call = new Gaxios(options).request({ url: origin.url, timeout: 60, retryConfig })
    const error: unknown = await call.catch((error: unknown) => error)
    expect(error).toBeInstanceOf(GaxiosError)
    expect((error as GaxiosError).message).toMatch(/timeout/)
    expect(retries).toBe(1)
  }
})

test('what gaxios leaves unread holds no socket: streams, and bodies above maxContentLength', async () => {
  const bytes = pattern(512 * 1024)
  await using origin = await createOrigin(async (_, reply) => {
    await reply.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`)
    await reply.write(bytes)
  })
  await using client = testClient({ connections: 2 })
  const gaxios = new Gaxios({ fetchImplementation: client.fetch, url: origin.url })
  const kept: unknown[] = []
  for (let i = 0; i < 20; i++) {
    kept.push(await gaxios.request({ responseType: 'stream' }))
    await expect(gaxios.request({ maxContentLength: 1_000 })).rejects.toThrow(/over the limit/)
  }
  await until(() => client.stats().sockets.inFlight === 0, 'all received')
  expect(origin.accepted).toBeLessThanOrEqual(2)
  expect(kept.length).toBe(20)
})
