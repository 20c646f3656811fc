/** What a server says of its kept connections is taken at its word: used as long as it lasts, and not in its last moment. */
import fs from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Client } from '../../src/index.ts'
import { margin, newKeeping, noteKeepAlive } from '../../src/wire/keep-alive.ts'
import { testClient } from '../support/client.ts'
import { createOrigin, type Origin, type Script } from '../support/origin.ts'
import { until } from '../support/until.ts'

const ok = (keepAlive: string): string =>
  `HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nkeep-alive: ${keepAlive}\r\ncontent-length: 2\r\n\r\nok`

/** Says the same in every answer, and never closes. */
const says = (keepAlive: string): Promise<Origin> => createOrigin((_, reply) => reply.write(ok(keepAlive)))

const connections = (origin: Origin): number[] => origin.seen.map(({ connection }) => connection)

for (const seconds of [1, 2, 3, 5]) {
  test(`a hint of ${seconds} s keeps the connection for the next request`, async () => {
    await using origin = await says(`timeout=${seconds}`)
    await using client = testClient()
    for (let i = 0; i < 20; i++) expect(await (await client.fetch(origin.url)).text()).toBe('ok')
    expect(origin.accepted).toBe(1)
  })
}

test('a connection is closed before its hint is over, and the next request comes on a new one', async () => {
  await using origin = await says('timeout=1')
  await using client = testClient()
  const since = performance.now()
  await (await client.fetch(origin.url)).text()
  // The origin never closes, so it is the client that does.
  await until(() => client.stats().sockets.open === 0, 'closed')
  expect(performance.now() - since).toBeGreaterThan(1_000 - margin - 50)
  await (await client.fetch(origin.url)).text()
  expect(connections(origin)).toEqual([0, 1])
})

test('a hint longer than keepAlive does not lengthen it', async () => {
  await using origin = await says('timeout=60')
  await using client = testClient({ keepAlive: 50 })
  await (await client.fetch(origin.url)).text()
  await until(() => client.stats().sockets.open === 0, 'closed')
})

for (const method of ['GET', 'POST']) {
  test(`a program that was busy until after the hint sends its ${method} on a new connection, never on the old one`, async () => {
    await using origin = await says('timeout=1')
    await using client = testClient()
    await (await client.fetch(origin.url)).text()
    await until(() => client.stats().sockets.idle === 1, 'idle')
    // Within the phase of the event loop that comes after the timers and before undici writes: no timer fires in between.
    const answer = await new Promise<Response>((resolve, reject) => {
      fs.stat('.', () => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000)
        client.fetch(origin.url, { method, body: method === 'GET' ? null : 'body' }).then(resolve, reject)
      })
    })
    expect(await answer.text()).toBe('ok')
    expect(connections(origin)).toEqual([0, 1])
  })
}

/** `max` as it is said in the first, second, ... answer on a connection. */
const counting = (max: (nth: number) => number, body = 'ok'): Script => {
  const requests: number[] = []
  return (seen, reply) => {
    const nth = (requests[seen.connection] = (requests[seen.connection] ?? 0) + 1)
    return reply.write(
      `HTTP/1.1 200 OK\r\nkeep-alive: timeout=5, max=${max(nth)}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
  }
}

for (const [how, max, each] of [
  ['max=3 in every answer is three requests', () => 3, 3],
  ['max=2, max=1, max=0 is three requests', (nth) => 3 - nth, 3],
  ['max=1 is one request', () => 1, 1],
  ['max=0 is one request', () => 0, 1],
] as [string, (nth: number) => number, number][]) {
  test(`${how} on a connection`, async () => {
    await using origin = await createOrigin(counting(max))
    await using client = testClient()
    for (let i = 0; i < 9; i++) expect(await (await client.fetch(origin.url)).text()).toBe('ok')
    expect(connections(origin)).toEqual(Array.from({ length: 9 }, (_, i) => Math.floor(i / each)))
    expect(client.stats().requests.resent).toBe(0)
  })
}

test('requests that wait for the connection do not get one that is used up', async () => {
  await using origin = await createOrigin(counting(() => 4))
  await using client = testClient({ connections: 2 })
  const texts = Array.from({ length: 40 }, async () => (await client.fetch(origin.url)).text())
  expect(new Set(await Promise.all(texts))).toEqual(new Set(['ok']))
  for (let i = 0; i < origin.accepted; i++)
    expect(connections(origin).filter((connection) => connection === i).length).toBeLessThanOrEqual(4)
  expect(client.stats().requests.resent).toBe(0)
})

test('a body on a connection that ends with it is not drained', async () => {
  await using origin = await createOrigin(async (_, reply) => {
    await reply.write('HTTP/1.1 200 OK\r\nkeep-alive: max=0\r\ncontent-length: 100000\r\n\r\nfirst')
  })
  await using client = testClient()
  await (await client.fetch(origin.url)).body?.cancel()
  await until(() => client.stats().sockets.open === 0, 'closed')
  expect(client.stats().bodies.reasons).toEqual({ unreusable: 1 })
})

test('connectionLifetime ends a connection whose hint says more', async () => {
  await using origin = await says('timeout=5, max=100')
  await using client = testClient({ connectionLifetime: 1 })
  for (let i = 0; i < 5; i++) {
    await (await client.fetch(origin.url)).text()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  expect(origin.accepted).toBe(5)
})

test('whatever max a server means, no request comes after its last, and few connections end early', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 30 }), fc.boolean(), (max, isLeft) => {
      const keeping = newKeeping()
      let requests = 0
      // A server that counts what is left says `max` first and answers one more request than that.
      const most = Math.max(isLeft ? max + 1 : max, 1)
      do {
        requests++
        noteKeepAlive(keeping, `timeout=5, max=${isLeft ? max - requests + 1 : max}`, requests)
      } while (!keeping.isLast && requests < most + 5)
      expect(requests).toBe(isLeft && max === 1 ? 1 : most)
    }),
  )
})

test('a field that says something else, or nonsense, says nothing', () => {
  fc.assert(
    fc.property(fc.option(fc.string()), (field) => {
      const keeping = newKeeping()
      noteKeepAlive(keeping, field ?? undefined, 1)
      if (!/timeout/i.test(field ?? '')) expect(keeping.idleMs).toBe(undefined)
      if (!/max/i.test(field ?? '')) expect(keeping.isLast).toBe(false)
    }),
  )
  for (const [field, idleMs, max] of [
    ['timeout=5, max=100', 5_000, 100],
    ['max=100,timeout=5', 5_000, 100],
    ['Timeout = "15"; MAX=7', 15_000, 7],
    ['x-timeout=3, maximum=4', undefined, undefined],
  ] as const) {
    const keeping = newKeeping()
    noteKeepAlive(keeping, field, 1)
    expect(keeping).toMatchObject({ idleMs, max })
  }
})

test('1,000 requests at gaps around the hint of a server that closes on the dot: none fails, POST or GET', async () => {
  const timers = new Map<number, NodeJS.Timeout>()
  await using origin = await createOrigin(async (seen, reply) => {
    clearTimeout(timers.get(seen.connection))
    if (!reply.isOpen) return
    await reply.write(ok('timeout=1'))
    timers.set(
      seen.connection,
      setTimeout(() => {
        if (!reply.isOpen) return
        if (seen.connection % 2 === 0) reply.end()
        else reply.reset()
      }, 1_000),
    )
  })
  const clients = Array.from({ length: 200 }, () => testClient())
  const failures: unknown[] = []
  const worker = async (client: Client, nth: number): Promise<void> => {
    for (let i = 0; i < 5; i++) {
      // From 600 to 1,100 ms of idleness.
      await new Promise((resolve) => setTimeout(resolve, 600 + (((nth * 5 + i) * 37) % 500)))
      const init = (nth + i) % 2 === 0 ? {} : { method: 'POST', body: 'body' }
      await client
        .fetch(origin.url, init)
        .then((response) => response.text())
        .catch((error: unknown) => failures.push((error as Error).cause))
    }
  }
  await Promise.all(clients.map(worker))
  for (const timer of timers.values()) clearTimeout(timer)
  for (const client of clients) await client[Symbol.asyncDispose]()
  expect(failures).toEqual([])
  expect(origin.seen).toHaveLength(1_000)
}, 60_000)
