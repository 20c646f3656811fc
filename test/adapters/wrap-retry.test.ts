/** Retries, hedged requests and time limits above a fetch of somebody else's. */
import { PassThrough, Stream } from 'node:stream'
import nodeFetch, { Request as NodeFetchRequest } from 'node-fetch'
import { expect, test } from 'vitest'
import * as undici from 'undici'
import { createClient, type FetchLike, InvalidOptionError, TimeoutError, wrap } from '../../src/index.ts'
import { azureStorage, gcs, s3 } from '../../src/storage.ts'
import { createOrigin, type Origin, type Reply } from '../support/origin.ts'
import { createRecorder } from '../support/recorder.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const soon = { backoff: { initial: 1, max: 5 } }
const foreign: [string, FetchLike][] = [
  ["Node's fetch", (...args) => globalThis.fetch(...args)],
  ['undici.fetch', undici.fetch],
  ['node-fetch', nodeFetch],
]

function scripted(...answers: ((reply: Reply) => unknown)[]): Promise<Origin> {
  let at = 0
  return createOrigin(async (_, reply) => {
    await answers[Math.min(at++, answers.length - 1)]?.(reply)
  })
}
const status =
  (code: number, size = 2) =>
  (reply: Reply) =>
    reply.write(`HTTP/1.1 ${code} Status\r\ncontent-length: ${size}\r\n\r\n${'x'.repeat(size)}`)

for (const [name, fetch] of foreign) {
  test(`${name}: failures are retried, and what is not handed out is given up`, async () => {
    await using origin = await scripted(status(503, 100_000), (reply) => reply.reset(), status(200))
    await using client = createClient({ fetch, retry: { maxAttempts: 3, ...soon } })
    const response = await client.fetch(origin.url, { method: 'PUT', body: 'content' })
    expect(await response.text()).toBe('xx')
    expect(origin.seen.map(({ method }) => method)).toEqual(['PUT', 'PUT', 'PUT'])
    expect(client.stats().retries.made).toBe(2)
    expect(client.stats().bodies.open).toBe(0)
  })

  test(`${name}: the total holds over all attempts, and attempt for each`, async () => {
    await using origin = await scripted(() => new Promise(() => {}))
    const retry = { maxAttempts: 9, ...soon }
    const call = wrap(fetch, { retry, timeout: { attempt: 300, total: 1_000 } })
    const error: unknown = await call(origin.url).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TimeoutError)
    expect(['total', 'attempt']).toContain((error as TimeoutError).phase)
    expect(origin.seen.length).toBeGreaterThanOrEqual(2)
  })
}

test('a second request is sent for a slow first one, and the first answer wins', async () => {
  await using origin = await scripted(() => new Promise(() => {}), status(200))
  await using client = createClient({ fetch: nodeFetch, hedge: { after: 30 } })
  expect(await (await client.fetch(origin.url)).text()).toBe('xx')
  expect(client.stats().retries.hedged).toBe(1)
})

test('the other fetch sees nothing of options that are ours', async () => {
  const seen: unknown[] = []
  const call = wrap((_: unknown, init?: object) => {
    seen.push(Object.keys(init ?? {}))
    return Promise.resolve(new Response('ok'))
  })
  await call('http://service.test/', { retry: 2, hedge: false, method: 'POST', body: () => 'made' })
  expect(seen).toEqual([expect.not.arrayContaining(['retry', 'hedge', 'timeout', 'decompress'])])
})

/** As the package form-data has it: a stream of Node's, of the old kind, under a name that promises more. */
const namedFormData = { [Symbol.toStringTag]: 'FormData' }

test('a form of the package form-data is a stream: sent once and whole, whether or not retries are on', async () => {
  await using origin = await scripted(status(503))
  for (const retry of [false, { maxAttempts: 3, ...soon }]) {
    await using client = createClient({ fetch: nodeFetch, retry })
    const body = Object.assign(new PassThrough(), namedFormData).end('content')
    const response = await client.fetch(origin.url, { method: 'PUT', body: body as never })
    expect(response.status).toBe(503)
    expect(await response.text()).toBe('xx')
    expect(client.stats().retries.gaveUp.body).toBe(retry === false ? 0 : 1)
  }
  expect(origin.seen.map(({ method }) => method)).toEqual(['PUT', 'PUT'])
})

test('a form that a function made for nothing is given up, of whatever kind it is', async () => {
  await using client = createClient({ fetch: nodeFetch, retry: true })
  const { promise, resolve } = Promise.withResolvers<never>()
  const signal = AbortSignal.timeout(20)
  const call = client.fetch('http://127.0.0.1:1/', { method: 'PUT', body: () => promise, signal })
  await expect(call).rejects.toMatchObject({ name: 'TimeoutError' })
  resolve(Object.assign(new Stream(), namedFormData) as never)
})

test('what is wrong with an init rejects, as with any fetch: nothing is thrown', async () => {
  const call = wrap(globalThis.fetch, { retry: true })
  const headers = {
    get 'x-mine'(): string {
      throw new Error('mine')
    },
  }
  await expect(call('http://127.0.0.1:1/', { headers })).rejects.toThrow('mine')
})

test.each([
  ['text alone', { ok: false, status: 503, text: (): string => 'busy' }],
  ['headers that are a plain object', { ok: false, status: 503, headers: {}, text: (): string => 'busy' }],
])('half a Response of a simple mock, with %s, is handed on as it is, once', async (_, half) => {
  for (const retry of [true, { maxAttempts: 2, shouldRetry: () => true }, s3(), azureStorage(), gcs()]) {
    let calls = 0
    const call = wrap(async () => (calls++, half), { retry })
    expect(await call('http://service.test/')).toBe(half)
    expect(calls).toBe(1)
  }
})

test('half a Response that loses to another one of a hedged request is left alone', async () => {
  const half = (status: number): object => ({ ok: status < 400, status, text: (): string => 'x' })
  const first = Promise.withResolvers<object>()
  const second = Promise.withResolvers<object>()
  let calls = 0
  const mock = (): Promise<object> => (calls++ === 0 ? first : second).promise
  const call = wrap(mock, { hedge: { after: 1 } })('http://service.test/')
  await until(() => calls === 2, 'both are sent')
  first.resolve(half(503))
  await new Promise(setImmediate)
  second.resolve(half(200))
  expect((await call).status).toBe(200)
})

test.each(['without', 'with'])(
  "a Request of node-fetch's own with a body is sent once and whole, %s retries",
  async (name) => {
    const received: string[] = []
    await using recorder = await createRecorder(async (request, reply) => {
      await reply.whole
      received.push(`${request.method} ${request.body.toString()}`)
      reply.send(503)
    })
    await using client = createClient({ fetch: nodeFetch, retry: name === 'with' && soon })
    const request = new NodeFetchRequest(recorder.url, { method: 'PUT', body: 'content' })
    expect((await client.fetch(request as never)).status).toBe(503)
    expect((await client.fetch(new NodeFetchRequest(recorder.url) as never)).status).toBe(503)
    expect(received.slice(0, 2)).toEqual(['PUT content', 'GET '])
    expect(received).toHaveLength(name === 'with' ? 4 : 2)
  },
)

test('decompress cannot be asked of another fetch', async () => {
  const fetch: FetchLike = () => Promise.resolve(new Response('ok'))
  expect(() => createClient({ fetch, decompress: false })).toThrow(InvalidOptionError)
  await expect(wrap(fetch)('http://service.test/', { decompress: false })).rejects.toThrow(
    'init.decompress cannot be combined with fetch',
  )
})
