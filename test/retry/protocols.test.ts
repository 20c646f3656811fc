/** Retries and hedged requests over HTTP/2, redirects, dispatchers of the caller's, mocks, the long lane and the default fetch. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type http2 from 'node:http2'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Agent, type Dispatcher, MockAgent } from 'undici'
import { type Client, type ClientOptions, fetch } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createHttp2Origin, tls } from '../support/h2.ts'
import { createOrigin, type Reply, type Seen } from '../support/origin.ts'
import { refused } from '../support/refused.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const retry = { backoff: { initial: 1, max: 2 } }
const overH2 = (options: ClientOptions = {}): Client & AsyncDisposable =>
  testClient({ connections: 4, tls: { ca: tls.cert }, retry, ...options })

const status = (code: number, size = 0, headers = ''): string =>
  `HTTP/1.1 ${code} Status\r\ncontent-length: ${size}\r\n${headers}\r\n${'x'.repeat(size)}`

const answer = (stream: http2.ServerHttp2Stream, code: number, body = ''): void => {
  stream.respond({ ':status': code })
  stream.end(body)
}

test('HTTP/2: attempts after large error bodies stay on one session', async () => {
  await using origin = await createHttp2Origin((stream) =>
    answer(stream, origin.streams < 3 ? 503 : 200, 'x'.repeat(origin.streams < 3 ? 300_000 : 2)),
  )
  await using client = overH2()
  expect(await (await client.fetch(origin.url)).text()).toBe('xx')
  expect([origin.sessions, origin.streams]).toEqual([1, 3])
  await until(() => origin.openStreams === 0, 'all streams are over')
})

test.each([
  ['INTERNAL_ERROR', 2],
  ['REFUSED_STREAM', 7],
  ['ENHANCE_YOUR_CALM', 11],
])('HTTP/2: a stream the server resets with %s is tried again', async (_, code) => {
  await using origin = await createHttp2Origin((stream) => {
    if (origin.streams === 1) stream.close(code)
    else answer(stream, 200, 'ok')
  })
  await using client = overH2()
  expect(await (await client.fetch(origin.url)).text()).toBe('ok')
  expect(origin.streams).toBe(2)
})

test('HTTP/2: a session that breaks is tried again on a new one', async () => {
  await using origin = await createHttp2Origin((stream) => {
    if (origin.streams === 1) stream.session?.destroy()
    else answer(stream, 200, 'ok')
  })
  await using client = overH2()
  expect(await (await client.fetch(origin.url)).text()).toBe('ok')
  expect([origin.sessions, origin.streams]).toEqual([2, 2])
})

test('HTTP/2: a session that goes away is tried again on a new one', async () => {
  await using origin = await createHttp2Origin((stream) => {
    if (origin.streams === 1) stream.session?.goaway(0, 0)
    else answer(stream, 200, 'ok')
  })
  await using client = overH2({ timeout: { attempt: 2_000 } })
  expect(await (await client.fetch(origin.url)).text()).toBe('ok')
})

test('HTTP/2: a body of text, of a form and of a function is sent again', async () => {
  const bodies: string[] = []
  await using origin = await createHttp2Origin((stream) => {
    let body = ''
    stream.setEncoding('latin1').on('data', (text: string) => (body += text))
    stream.on('end', () => {
      bodies.push(body)
      answer(stream, bodies.length % 2 === 1 ? 503 : 200)
    })
  })
  await using client = overH2()
  const form = new FormData()
  form.set('name', 'value')
  for (const body of ['text', form, () => new Blob(['made']).stream()]) {
    expect((await client.fetch(origin.url, { method: 'PUT', body })).status).toBe(200)
  }
  expect(bodies.filter((body) => body === 'text')).toHaveLength(2)
  expect(bodies.filter((body) => body.includes('name="name"\r\n\r\nvalue'))).toHaveLength(2)
  expect(bodies.filter((body) => body === 'made')).toHaveLength(2)
})

test('HTTP/2: a hedged request wins, the other stream is reset, and its session stays', async () => {
  const streams: http2.ServerHttp2Stream[] = []
  await using origin = await createHttp2Origin((stream) => void streams.push(stream))
  await using client = overH2({ hedge: { after: 30 } })
  const call = client.fetch(origin.url)
  await until(() => streams.length === 2, 'the second request is sent')
  answer(streams[1] as http2.ServerHttp2Stream, 200, 'second')
  expect(await (await call).text()).toBe('second')
  await until(() => origin.openStreams === 0, 'both streams are over')
  expect(origin.resets).toHaveLength(1)
  expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: 0 })
})

test('HTTP/2: an attempt without headers is reset, and tried again', async () => {
  await using origin = await createHttp2Origin((stream) => {
    if (origin.streams > 1) answer(stream, 200, 'ok')
  })
  await using client = overH2({ timeout: { attempt: 500 } })
  expect(await (await client.fetch(origin.url)).text()).toBe('ok')
  await until(() => origin.openStreams === 0, 'both streams are over')
  expect(origin.resets).toHaveLength(1)
})

const redirecting = async (seen: Seen, reply: Reply): Promise<void> => {
  if (seen.path === '/from') return reply.write(status(307, 50_000, 'location: /to\r\n'))
  return reply.write(status(503, 50_000))
}

test('a redirect that ends in a failure is followed again from its beginning, on one connection', async () => {
  await using origin = await createOrigin(redirecting)
  await using client = testClient({ retry })
  const response = await client.fetch(`${origin.url}/from`, { method: 'PUT', body: 'content' })
  expect([response.status, response.redirected, response.url]).toEqual([503, true, `${origin.url}/to`])
  await response.body?.cancel()
  const hops = ['/from', '/to']
  expect(origin.seen.map(({ path }) => path)).toEqual([...hops, ...hops, ...hops])
  expect(origin.accepted).toBe(1)
})

test('a redirect to a host that refuses is tried again; one that may not be followed is not', async () => {
  const { url } = await refused()
  await using origin = await createOrigin((_, reply) => reply.write(status(302, 0, `location: ${url}\r\n`)))
  await using client = testClient({ retry })
  await expect(client.fetch(origin.url)).rejects.toMatchObject({
    attempts: 3,
    cause: { code: 'ECONNREFUSED' },
  })
  expect(origin.seen).toHaveLength(3)
  await expect(client.fetch(origin.url, { redirect: 'error' })).rejects.not.toHaveProperty('attempts')
  expect((await client.fetch(origin.url, { redirect: 'manual' })).status).toBe(302)
  expect(origin.seen).toHaveLength(5)
})

test('a redirect to a stream of secrets: neither event nor error has them', async () => {
  await using origin = await createOrigin((seen, reply) =>
    seen.path.startsWith('/a?')
      ? reply.write(status(302, 5, 'location: /b?token=hunter2\r\n'))
      : reply.reset(),
  )
  await using client = testClient({ retry, timeout: { attempt: 5_000 } })
  const told = new Map<string | symbol, unknown[]>()
  const listen = (message: unknown, name: string | symbol): void =>
    void told.set(name, [...(told.get(name) ?? []), message])
  const channels = ['request', 'retry', 'body', 'connection'].map((name) => `drained:${name}`)
  for (const name of channels) subscribe(name, listen)
  const error: unknown = await client.fetch(`${origin.url}/a?sig=hunter2`).catch((reason: unknown) => reason)
  for (const name of channels) unsubscribe(name, listen)
  expect(new Set(told.keys())).toEqual(new Set(channels))
  expect(error).toBeInstanceOf(Error)
  expect(inspect([error, ...told.values()], { depth: 12 })).not.toContain('hunter2')
})

function counting(): { dispatcher: Dispatcher; agent: Agent; paths: string[] } {
  const agent = new Agent({ connections: 2 })
  const paths: string[] = []
  const dispatcher = agent.compose((dispatch) => (opts, handler) => {
    paths.push(opts.path)
    return dispatch(opts, handler)
  })
  return { dispatcher, agent, paths }
}

test('a dispatcher given for a call carries all of its attempts, on one connection', async () => {
  await using origin = await createOrigin((_, reply) => reply.write(status(503, 200_000)))
  await using client = testClient({ retry })
  const { dispatcher, agent, paths } = counting()
  const response = await client.fetch(`${origin.url}/a`, { dispatcher })
  await response.body?.cancel()
  expect(paths).toEqual(['/a', '/a', '/a'])
  // How many connections its pool may have is not known, so no request waits for the end of a drain.
  expect(origin.accepted).toBeLessThanOrEqual(2)
  await until(() => client.stats().bodies.open === 0, 'no body is open')
  await agent.destroy()
})

test('a dispatcher given for a call carries both requests of a hedged one', async () => {
  const replies: Reply[] = []
  await using origin = await createOrigin((_, reply) => {
    replies.push(reply)
    return new Promise(() => {})
  })
  await using client = testClient({ hedge: { after: 30 } })
  const { dispatcher, agent, paths } = counting()
  const call = client.fetch(`${origin.url}/a`, { dispatcher })
  await until(() => replies.length === 2, 'the second request is sent')
  await replies[1]?.write(status(200, 5))
  expect(await (await call).text()).toBe('xxxxx')
  expect(paths).toEqual(['/a', '/a'])
  await until(() => origin.open === 1, 'the other one is gone')
  await agent.destroy()
})

test('MockAgent: failures, then the answer, with bodies compared', async () => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  const pool = mock.get('http://service.test')
  const match = { path: '/items', method: 'PUT', body: 'content' }
  pool.intercept(match).reply(503, 'x'.repeat(1_000)).times(2)
  pool.intercept(match).replyWithError(Object.assign(new Error('mock'), { code: 'ECONNRESET' }))
  pool.intercept(match).reply(200, 'ok')
  await using client = testClient({ retry: { ...retry, maxAttempts: 4 } })
  for (const body of ['content', (): string => 'content']) {
    if (typeof body === 'function') {
      pool.intercept(match).reply(503)
      pool.intercept(match).reply(200, 'ok')
    }
    const init = { method: 'PUT', body, dispatcher: mock }
    expect(await (await client.fetch('http://service.test/items', init)).text()).toBe('ok')
  }
  mock.assertNoPendingInterceptors()
  await until(() => client.stats().bodies.open === 0, 'no body is open')
  await mock.close()
})

test('MockAgent: a delayed answer is hedged', async () => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  const pool = mock.get('http://service.test')
  pool.intercept({ path: '/' }).reply(200, 'late').delay(1_000)
  pool.intercept({ path: '/' }).reply(200, 'in time')
  await using client = testClient({ hedge: { after: 30 } })
  const response = await client.fetch('http://service.test/', { dispatcher: mock })
  expect(await response.text()).toBe('in time')
  await mock.close()
})

test('the default fetch retries and hedges when a call asks for it', async () => {
  await using origin = await createOrigin((_, reply) =>
    reply.write(status(origin.seen.length < 3 ? 503 : 200)),
  )
  expect((await fetch(origin.url)).status).toBe(503)
  expect((await fetch(origin.url, { retry })).status).toBe(200)
  expect(origin.seen).toHaveLength(3)
  let sent = 0
  await using slow = await createOrigin((_, reply) =>
    ++sent === 1 ? new Promise(() => {}) : reply.write(status(200)),
  )
  expect((await fetch(slow.url, { hedge: { after: 30 } })).status).toBe(200)
  expect(sent).toBe(2)
  await until(() => slow.open <= 1, 'the other request is gone')
})

test('the long lane: a call with a window, FormData and an odd method are retried as on the short one', async () => {
  await using origin = await createOrigin((_, reply) =>
    reply.write(status(origin.seen.length % 2 === 1 ? 503 : 200, 2)),
  )
  await using client = testClient({ retry, timeout: { attempt: 5_000, total: 20_000 } })
  const form = new FormData()
  form.set('a', 'b')
  const calls = [
    [{ window: null }, 200],
    [{ method: 'PUT', body: form }, 200],
    [{ method: 'PROPFIND', retry: { methods: ['PROPFIND'] } }, 200],
  ] as const
  for (const [init, expected] of calls) {
    expect((await client.fetch(origin.url, init as RequestInit)).status).toBe(expected)
  }
  expect(origin.seen).toHaveLength(6)
  expect(origin.accepted).toBe(1)
})

test('the long lane: an attempt without headers is cut and tried again, and its deadline is that of the call', async () => {
  await using origin = await createOrigin((_, reply) =>
    origin.seen.length === 1 ? until(() => !reply.isOpen, 'it is cut') : reply.write(status(200, 2)),
  )
  await using client = testClient({ retry, timeout: { attempt: 1_000, total: 20_000 } })
  const response = await client.fetch(origin.url, { window: null })
  expect(await response.text()).toBe('xx')
  expect(origin.seen).toHaveLength(2)
})

test('a data: URL and a URL that cannot be parsed are no business of retries', async () => {
  await using client = testClient({ retry: true, hedge: { after: 1 } })
  expect(await (await client.fetch('data:text/plain,hello')).text()).toBe('hello')
  await expect(client.fetch('http://[')).rejects.toBeInstanceOf(TypeError)
  expect(client.stats().retries).toMatchObject({ made: 0, hedged: 0 })
})
