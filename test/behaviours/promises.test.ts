/** Single promises of the contract, each seen from the side of the server. */
import { Agent, request } from 'undici'
import { expect, test, vi } from 'vitest'
import { createClient, drain } from '../../src/index.ts'
import { DrainedAgent } from '../../src/adapters/node-http.ts'
import { get } from '../adapters/http/support/agents.ts'
import { heard } from '../leaks/support/serve.ts'
import { testClient, works } from '../support/client.ts'
import { createHttp2Origin, tls } from '../support/h2.ts'
import { createOrigin, type Origin, type Reply } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'
import { socketsInTimeWait } from '../support/sockets.ts'
import { needsTool } from '../support/tools.ts'
import { until, untilCollected } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const head = 'HTTP/1.1 200 OK\r\n'
const ok = `${head}content-length: 2\r\n\r\nok`

/** Answers when it is told to. */
async function holding(): Promise<Origin & { readonly replies: Reply[] }> {
  const replies: Reply[] = []
  const origin = await createOrigin((_, reply) => void replies.push(reply))
  return Object.assign(origin, { replies })
}

test.runIf(needsTool('Linux'))(
  '20 requests aborted before their headers are 20 resets, and leave no TIME_WAIT: fetch',
  async () => {
    await using origin = await holding()
    await using client = testClient()
    const before = socketsInTimeWait(origin.port)
    for (let i = 1; i <= 20; i++) {
      const controller = new AbortController()
      const call = client.fetch(origin.url, { signal: controller.signal })
      const failed = expect(call).rejects.toBe('mine')
      await until(() => origin.replies.length === i, 'it is sent')
      controller.abort('mine')
      await failed
      await until(() => origin.resets === i, 'the origin sees a reset')
    }
    expect(socketsInTimeWait(origin.port)).toBeLessThanOrEqual(before)
  },
)

test.runIf(needsTool('Linux'))(
  '20 requests aborted before their headers are 20 resets, and leave no TIME_WAIT: the agent',
  async () => {
    await using origin = await holding()
    const agent = new DrainedAgent({ maxSockets: 1 })
    const before = socketsInTimeWait(origin.port)
    for (let i = 1; i <= 20; i++) {
      const controller = new AbortController()
      const failed = expect(get(origin.url, { agent, signal: controller.signal })).rejects.toThrow('aborted')
      await until(() => origin.replies.length === i, 'it is sent')
      controller.abort()
      await failed
      await until(() => origin.resets === i, 'the origin sees a reset')
    }
    expect(socketsInTimeWait(origin.port)).toBeLessThanOrEqual(before)
    expect(agent.stats().sockets).toMatchObject({ open: 0, reset: 20 })
    agent.destroy()
  },
)

test('one untouched body is given up for each request that waits, the oldest first, and no more', async () => {
  const waiting: Reply[] = []
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path !== '/waits') return serveShapes(seen, reply)
    waiting.push(reply)
    // Only when both are there: the first one's connection is not to serve the second.
    if (waiting.length === 2) for (const each of waiting) await each.write(ok)
  })
  await using client = testClient({ connections: 5, drain: { stall: 50 } })
  using reclaims = heard('drained:reclaim')
  const kept: Response[] = []
  for (let i = 0; i < 5; i++) kept.push(await client.fetch(`${origin.url}/endless%20trickle`))
  const calls = [1, 2].map(async () => (await client.fetch(`${origin.url}/waits`)).text())
  expect(await Promise.all(calls)).toEqual(['ok', 'ok'])
  expect(reclaims).toHaveLength(2)
  for (const response of kept.slice(0, 2))
    await expect(response.text()).rejects.toMatchObject({ cause: { name: 'BodyReclaimedError' } })
  expect(client.stats().bodies.open).toBe(3)
  for (const response of kept.slice(2)) await response.body?.cancel()
})

test('a client that is told no limit opens 128 connections, and the rest wait in their order', async () => {
  await using origin = await holding()
  const client = createClient()
  const calls = Array.from({ length: 200 }, async (_, i) => (await client.fetch(`${origin.url}/${i}`)).text())
  await until(() => origin.replies.length === 128, '128 are sent')
  expect(client.stats().requests).toMatchObject({ waiting: 72, inFlight: 128 })
  for (let answered = 0; answered < 200; answered++) {
    await until(() => origin.replies.length > answered, 'the next one is sent')
    await origin.replies[answered]?.write(ok)
  }
  expect(await Promise.all(calls)).toEqual(Array(200).fill('ok'))
  expect(origin.accepted).toBe(128)
  const last = origin.seen.slice(128).map(({ path }) => path)
  expect(last).toEqual(Array.from({ length: 72 }, (_, i) => `/${128 + i}`))
  await client.destroy()
})

test('the bare interceptor takes a body nobody reads back for a request that has waited', async () => {
  await using origin = await createOrigin(serveShapes)
  const agent = new Agent({ connections: 1 })
  const dispatcher = agent.compose(drain({ stall: 50 }))
  const { body } = await request(`${origin.url}/endless%20and%20fast`, { dispatcher })
  const failed = new Promise((resolve) => body.once('error', resolve))
  const next = await request(`${origin.url}/ok`, { dispatcher })
  expect(await next.body.text()).toBe('ok')
  expect(await failed).toMatchObject({ name: 'BodyReclaimedError' })
  await agent.destroy()
})

test('a body of undici.request that is forgotten is taken back once another request waits', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ drain: { stall: 50 } })
  using reclaims = heard('drained:reclaim')
  const forget = async (): Promise<void> => {
    const { body } = await request(`${origin.url}/endless%20and%20fast`, { dispatcher: client.dispatcher })
    body.on('error', () => {})
  }
  await forget()
  let passes = 0
  await untilCollected(() => ++passes > 3, 'garbage is collected')
  // Its socket keeps it alive.
  expect(client.stats().bodies.open).toBe(1)
  await works(client, origin.url)
  expect(reclaims).toHaveLength(1)
})

test('a trickle under undici.request looks like a slow reader, and is left alone while another waits', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ connections: 2, drain: { stall: 30 } })
  const { body } = await request(`${origin.url}/endless%20trickle`, { dispatcher: client.dispatcher })
  body.on('error', () => {})
  // Younger: if the trickle could be taken back, it would go first.
  const untouched = await client.fetch(`${origin.url}/64%20MiB`)
  expect(await (await client.fetch(`${origin.url}/ok`)).text()).toBe('ok')
  await expect(untouched.text()).rejects.toMatchObject({ cause: { name: 'BodyReclaimedError' } })
  expect(client.stats().bodies).toMatchObject({ open: 1, closed: 1 })
  body.destroy()
})

test('an attempt whose error body never ends is closed in its time, and the next one is made', async () => {
  await using origin = await createOrigin(async (_, reply) => {
    if (origin.seen.length > 1) return reply.write(ok)
    await reply.write('HTTP/1.1 503 Busy\r\ncontent-length: 1000\r\n\r\nx')
  })
  await using client = testClient({ drain: { maxTime: 200 }, retry: { backoff: { initial: 1 } } })
  expect(await (await client.fetch(origin.url)).text()).toBe('ok')
  expect([origin.seen.length, origin.accepted]).toEqual([2, 2])
  expect(client.stats().bodies).toMatchObject({ closed: 1, reasons: { time: 1 } })
})

test('idempotent in the dispatch options decides whether a request that was sent is sent again', async () => {
  const served = new Set<number>()
  await using origin = await createOrigin(async ({ connection }, reply) => {
    if (served.has(connection)) return reply.end()
    served.add(connection)
    await reply.write(ok)
  })
  await using client = testClient()
  const call = async (method: 'GET' | 'POST', idempotent?: boolean): Promise<string> => {
    const body = method === 'POST' ? 'content' : null
    const options = idempotent === undefined ? {} : { idempotent }
    const given = { origin: origin.url, path: '/', method, body, ...options }
    return (await client.dispatcher.request(given)).body.text()
  }
  expect(await call('GET')).toBe('ok')
  expect(await call('POST', true)).toBe('ok')
  expect(client.stats().requests.resent).toBe(1)
  await expect(call('GET', false)).rejects.toThrow('other side closed')
  expect(await call('GET')).toBe('ok')
  await expect(call('POST')).rejects.toThrow('other side closed')
  expect(client.stats().requests.resent).toBe(1)
})

test('HTTP/2: a stream that is refused is sent again, though no retry was asked for', async () => {
  await using origin = await createHttp2Origin((stream) => {
    if (origin.streams === 2) return stream.close(7)
    stream.respond({ ':status': 200 })
    stream.end('ok')
  })
  await using client = testClient({ tls: { ca: tls.cert } })
  for (let i = 0; i < 2; i++) expect(await (await client.fetch(origin.url)).text()).toBe('ok')
  expect(origin.streams).toBe(3)
})

test('HEAD keeps its connection, and reset: true brings its Connection: close back', async () => {
  await using origin = await createOrigin((_, reply) => reply.write(`${head}content-length: 1000\r\n\r\n`))
  await using client = testClient()
  const ask = async (options: object): Promise<void> => {
    const given = { origin: origin.url, path: '/', method: 'HEAD' as const, ...options }
    await (await client.dispatcher.request(given)).body.text()
  }
  for (const options of [{}, {}, { reset: true }, {}]) await ask(options)
  expect(origin.seen.map(({ connection }) => connection)).toEqual([0, 0, 0, 1])
  expect(origin.seen.map(({ headers }) => headers.includes('connection: close'))).toEqual([
    false,
    false,
    true,
    false,
  ])
})

test('a drain has one timer, and a body that has arrived none (T2)', async () => {
  await using origin = await createOrigin(serveShapes)
  const maxTime = 12_345
  await using client = testClient({ drain: { maxTime } })
  const timers = vi.spyOn(globalThis, 'setTimeout')
  try {
    const made = (): number => timers.mock.calls.filter(([, ms]) => ms === maxTime).length
    const arrived = await client.fetch(`${origin.url}/one%20byte`)
    await until(() => client.stats().requests.inFlight === 0, 'arrived')
    await arrived.body?.cancel()
    expect([made(), client.stats().bodies.drained]).toEqual([0, 1])
    const stalled = await client.fetch(`${origin.url}/stalled%20in%20the%20body`)
    await stalled.body?.cancel()
    expect(made()).toBe(1)
  } finally {
    timers.mockRestore()
  }
  await client.destroy()
})

test('a drain whose last bytes come just before its deadline does not get twice the time (T14)', async () => {
  const maxTime = 1_500
  let closedAt = 0
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return serveShapes(seen, reply)
    await reply.write(`${head}content-length: 10\r\n\r\na`)
    await new Promise((resolve) => setTimeout(resolve, maxTime * 0.9))
    await reply.write('b')
    await until(() => !reply.isOpen, 'closed')
    closedAt = performance.now()
  })
  await using client = testClient({ drain: { maxTime } })
  const response = await client.fetch(`${origin.url}/x`)
  const started = performance.now()
  await response.body?.cancel()
  await works(client, origin.url)
  await until(() => closedAt > 0, 'closed')
  expect(closedAt - started).toBeGreaterThan(maxTime - 10)
  expect(closedAt - started).toBeLessThan(maxTime * 1.9)
  expect(client.stats().bodies.reasons).toMatchObject({ time: 1 })
})
