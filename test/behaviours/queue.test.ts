/** Requests that give up while they wait for a connection: nobody sees them, and nothing is left of them. */
import { inspect } from 'node:util'
import { Agent, type Dispatcher, request } from 'undici'
import { expect, test } from 'vitest'
import type { Client, FetchInit, TimeoutError } from '../../src/index.ts'
import { bothLanes as lanes, testClient, works } from '../support/client.ts'
import { createOrigin, type Origin } from '../support/origin.ts'
import { until, untilCollected } from '../support/until.ts'

const head = 'HTTP/1.1 200 OK\r\n'

/** Everything but `/ok` has a body without an end, so that it holds its connection. */
const serveEndless = (): Promise<Origin> =>
  createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') {
      await reply.write(`${head}content-length: 2\r\n\r\nok`)
      return
    }
    const length = seen.path.startsWith('/long') ? 'content-length: 90000000000' : 'connection: keep-alive'
    await reply.write(`${head}${length}\r\n\r\n`)
    for (let i = 0; reply.isOpen && i < 10_000; i++) {
      await reply.write(Buffer.alloc(4_096))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  })

type Hold = { end(): Promise<void> }

/** Takes the only connection, and reads on as long as it is wanted. */
async function hold(
  client: Client,
  url: string,
  init: FetchInit,
  path = '/endless?sig=secret',
): Promise<Hold> {
  const { body } = await client.fetch(url + path, init)
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  const wanted = new AbortController()
  const reading = (async () => {
    while (!wanted.signal.aborted && !(await reader.read()).done)
      await new Promise((resolve) => setTimeout(resolve, 5))
    await reader.cancel()
  })()
  // Of a client that is destroyed.
  reading.catch(() => {})
  return {
    end: () => {
      wanted.abort()
      return reading
    },
  }
}

/** The ways in which a call in the queue comes to its end. */
const ends: Record<string, (client: Client, url: string, init: FetchInit) => Promise<unknown>> = {
  timeout: (client, url, init) => client.fetch(url, { ...init, timeout: { queue: 50 } }),
  'total timeout': (client, url, init) => client.fetch(url, { ...init, timeout: 50 }),
  abort: (client, url, init) => client.fetch(url, { ...init, signal: AbortSignal.timeout(50) }),
}

for (const [lane, init] of lanes) {
  for (const [way, give] of Object.entries(ends)) {
    test(`${lane}, ${way}: a request that gives up in the queue is never sent, waits no more and costs no connection`, async () => {
      await using origin = await serveEndless()
      await using client = testClient()
      const holder = await hold(client, origin.url, init)
      const calls = Array.from({ length: 30 }, () => give(client, `${origin.url}/late`, init))
      for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected')
      expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: 1 })
      await holder.end()
      await works(client, origin.url)
      await works(client, origin.url)
      expect(origin.seen.map(({ path }) => path)).toEqual(['/endless?sig=secret', '/ok', '/ok'])
      // The endless one was closed: one more, and not one for each that had given up.
      expect(origin.accepted).toBe(2)
    })
  }

  for (const [whose, foreign] of [
    ['the pool of the client', false],
    ['a dispatcher of the user', true],
  ] as const) {
    test(`${lane}, ${whose}: what gave up in the queue is forgotten while the pool is still stuck`, async () => {
      await using origin = await serveEndless()
      // Of one with a single connection, undici would keep the body.
      const agent = new Agent({ connections: 2 })
      await using client = foreign
        ? testClient({ connections: undefined, dispatcher: agent } as object)
        : testClient()
      const holders = [await hold(client, origin.url, init)]
      if (foreign) holders.push(await hold(client, origin.url, init))
      const size = 1024 * 1024
      const { arrayBuffers: before } = process.memoryUsage()
      const signals: WeakRef<AbortSignal>[] = []
      const call = async (): Promise<void> => {
        const { signal } = new AbortController()
        signals.push(new WeakRef(signal))
        const error: unknown = await client
          .fetch(`${origin.url}/late`, {
            ...init,
            method: 'PUT',
            body: Buffer.alloc(size),
            signal,
            timeout: { queue: 50 },
          })
          .catch((reason: unknown) => reason)
        expect((error as { phase?: string }).phase).toBe('queue')
      }
      await Promise.all(Array.from({ length: 100 }, call))
      expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: holders.length })
      await untilCollected(() => process.memoryUsage().arrayBuffers - before < 10 * size, 'bodies forgotten')
      await untilCollected(() => signals.every((signal) => signal.deref() === undefined), 'calls forgotten')
      for (const holder of holders) await holder.end()
      await works(client, origin.url)
      expect(origin.seen.filter(({ path }) => path === '/late')).toEqual([])
      await agent.destroy()
    })
  }
}

/** Three ways to hold the only connection: endless and unread, unread though it would end, and read on. */
const holds = {
  'an endless unread body': (client: Client, url: string, init: FetchInit) =>
    client.fetch(`${url}/endless?sig=secret&page=1`, init),
  'a long unread body': (client: Client, url: string, init: FetchInit) =>
    client.fetch(`${url}/long?sig=secret&page=1`, init),
  'a body that is read': (client: Client, url: string, init: FetchInit) =>
    hold(client, url, init, '/endless?sig=secret&page=1'),
}

for (const [lane, init] of lanes) {
  for (const [what, take] of Object.entries(holds)) {
    test(`${lane}: who waits in vain behind ${what} is told the pool and the body that holds it`, async () => {
      await using origin = await serveEndless()
      await using client = testClient({ name: 'blob' })
      const holder = await take(client, origin.url, init)
      const error = (await client
        .fetch(`${origin.url}/late?sig=hunter2`, { ...init, timeout: { queue: 60 } })
        .catch((reason: unknown) => reason)) as TimeoutError
      const { pool } = error
      expect(error).toMatchObject({ name: 'TimeoutError', phase: 'queue', limit: 60 })
      expect(pool).toMatchObject({ name: 'blob', origin: origin.url, limit: 1, open: 1 })
      expect(pool?.oldest?.url).toMatch(/\/(endless|long)\?sig=\*\*\*&page=1$/)
      expect(pool?.oldest?.age).toBeGreaterThanOrEqual(50)
      expect(error.message).toBe(
        `GET ${origin.url}/late?sig=*** took longer than the 60 ms of timeout.queue. Pool "blob" of ${origin.url}, ` +
          `at most 1 connection: 1 body open, the oldest for ${Math.round(pool?.oldest?.age ?? 0)} ms: ${pool?.oldest?.url}`,
      )
      expect(JSON.stringify(error) + inspect(error, { depth: 9 })).not.toMatch(/secret|hunter2/)
      if (holder instanceof Response) await holder.body?.cancel()
      else await holder.end()
      await works(client, origin.url)
    })
  }

  test(`${lane}: after a redirect it is the pool of the new origin that is told`, async () => {
    await using origin = await serveEndless()
    await using first = await createOrigin((_, reply) =>
      reply.write(`HTTP/1.1 302 Found\r\nlocation: ${origin.url}/late\r\ncontent-length: 0\r\n\r\n`),
    )
    await using client = testClient()
    const holder = await hold(client, origin.url, init)
    await expect(client.fetch(first.url, { ...init, timeout: { queue: 60 } })).rejects.toMatchObject({
      pool: { origin: origin.url, open: 1 },
    })
    await holder.end()
  })

  test(`${lane}: a pool whose requests wait for their answers has no body open; other phases tell no pool`, async () => {
    let answer: (() => void) | undefined
    await using origin = await createOrigin(async (_, reply) => {
      await new Promise<void>((resolve) => (answer = resolve))
      await reply.write(`${head}content-length: 2\r\n\r\nok`)
    })
    await using client = testClient({ connections: 1 })
    const slow = client.fetch(origin.url, init)
    const late: unknown = await client
      .fetch(origin.url, { ...init, timeout: { queue: 60 } })
      .catch((reason: unknown) => reason)
    expect((late as TimeoutError).pool).toEqual({ name: 'default', origin: origin.url, limit: 1, open: 0 })
    expect((late as Error).message).toMatch(/at most 1 connection: no body open$/)
    const total: unknown = await client
      .fetch(origin.url, { ...init, timeout: 60 })
      .catch((reason: unknown) => reason)
    expect(Object.hasOwn(total as object, 'pool')).toBe(false)
    answer?.()
    await (await slow).text()
  })

  test(`${lane}: of a dispatcher of the user the limit is not known, and its bodies are told apart`, async () => {
    await using origin = await serveEndless()
    const agent = new Agent({ connections: 1 })
    await using client = testClient({ connections: 3 })
    const own = await hold(client, origin.url, init)
    const holder = await hold(client, origin.url, { ...init, dispatcher: agent })
    await expect(
      client.fetch(origin.url, { ...init, dispatcher: agent, timeout: { queue: 60 } }),
    ).rejects.toMatchObject({ pool: { limit: undefined, open: 1 } })
    await own.end()
    await holder.end()
    await agent.destroy()
  })
}

test('undici.request aborted in the queue is never sent, and costs no connection', async () => {
  await using origin = await serveEndless()
  await using client = testClient()
  const holder = await hold(client, origin.url, {})
  const signal = AbortSignal.timeout(50)
  const { dispatcher } = client
  const calls = Array.from({ length: 30 }, () => request(`${origin.url}/late`, { dispatcher, signal }))
  await until(() => signal.aborted, 'aborted')
  await holder.end()
  for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected')
  await works(client, origin.url)
  expect(origin.seen.map(({ path }) => path)).toEqual(['/endless?sig=secret', '/ok'])
  expect(origin.accepted).toBe(2)
})

test('requests beyond the pool are sent in the order they came, at most one on each connection at a time', async () => {
  let now = 0
  let most = 0
  await using origin = await createOrigin(async (seen, reply) => {
    most = Math.max(most, ++now)
    await new Promise((resolve) => setTimeout(resolve, 1))
    now--
    await reply.write(`${head}content-length: 2\r\n\r\nok`)
  })
  await using client = testClient({ connections: 3 })
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => (await client.fetch(`${origin.url}/${i}`)).text()),
  )
  expect(most).toBe(3)
  expect(origin.accepted).toBe(3)
  const order = origin.seen.map(({ path }) => Number(path.slice(1)))
  // Three at once may overtake each other, and no more.
  order.forEach((path, i) => expect(Math.abs(path - i)).toBeLessThan(4))
})

test('closing waits for what is in the queue, destroying ends it', async () => {
  await using origin = await serveEndless()
  for (const isDestroyed of [false, true]) {
    await using client = testClient()
    const holder = await hold(client, origin.url, {})
    const late = Array.from({ length: 5 }, () => client.fetch(`${origin.url}/ok`))
    const settled = Promise.allSettled(late)
    if (isDestroyed) {
      const ended = holder.end().catch(() => {})
      await client.destroy(new Error('gone'))
      await ended
      for (const each of await settled) expect(each).toMatchObject({ status: 'rejected' })
    } else {
      const closed = client.close()
      await holder.end()
      for (const each of await settled) expect(each).toMatchObject({ value: { status: 200 } })
      for (const each of late) await (await each).text()
      await closed
    }
  }
})

test('a name that cannot be resolved fails every request in the queue', async () => {
  const unknown = Object.assign(new Error('getaddrinfo ENOTFOUND nobody.invalid'), { code: 'ENOTFOUND' })
  await using client = testClient({
    connect: { lookup: (_name, _options, done) => void setImmediate(done, unknown, '') },
  })
  const calls = Array.from({ length: 20 }, () => client.fetch('http://nobody.invalid/'))
  for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected')
  expect(client.stats().requests.waiting).toBe(0)
})

test('a dispatcher of the user over the same origin takes no place in the pool of the client', async () => {
  await using origin = await serveEndless()
  await using agent = Object.assign(new Agent({ connections: 1 }), {
    [Symbol.asyncDispose]: () => agent.destroy(),
  }) as Dispatcher & AsyncDisposable
  await using client = testClient()
  const holder = await hold(client, origin.url, { dispatcher: agent })
  await works(client, origin.url)
  await holder.end()
})
