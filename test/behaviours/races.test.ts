/** What happens at the same moment, or twice: exactly one drain, no deadlock, nobody's error. */
import { createServer } from 'node:http'
import { request } from 'undici'
import { expect, test } from 'vitest'
import { createClient, discard } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { listen } from '../support/listen.ts'
import { createOrigin } from '../support/origin.ts'
import { holds, sends } from '../support/parts.ts'
import { pattern, serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'

const head = 'HTTP/1.1 200 OK\r\n'
const fixed = (size: number): string => `${head}content-length: ${size}\r\n\r\n`

test('a body cancelled, aborted and discarded at once is drained once (T23)', async () => {
  await using origin = await holds(fixed(50_000), pattern(50_000))
  await using client = testClient()
  const controller = new AbortController()
  const response = await client.fetch(`${origin.url}/x`, { signal: controller.signal })
  const cancelled = response.body?.cancel()
  controller.abort()
  const ended = Promise.allSettled([cancelled, response.body?.cancel(), discard(response), discard(response)])
  await origin.release()
  await ended
  await works(client, origin.url)
  expect(client.stats().bodies).toMatchObject({ drained: 1, closed: 0 })
  expect(origin.accepted).toBe(1)
})

test('a body of undici.request destroyed twice is drained once (T23)', async () => {
  await using origin = await holds(fixed(50_000), pattern(50_000))
  await using client = testClient()
  const { body } = await request(`${origin.url}/x`, { dispatcher: client.dispatcher })
  body.on('error', () => {})
  body.destroy()
  body.destroy(new Error('again'))
  await until(() => client.stats().sockets.draining === 1, 'it is drained')
  await origin.release()
  await works(client, origin.url)
  expect(client.stats().bodies).toMatchObject({ drained: 1, closed: 0 })
})

test('a deadline that fires as the drain completes never kills the next request (T24)', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return serveShapes(seen, reply)
    await reply.write(fixed(10))
    await new Promise((resolve) => setTimeout(resolve, 10))
    await reply.write('0123456789')
  })
  await using client = testClient({ drain: { readAhead: 0, maxTime: 10 } })
  for (let i = 0; i < 40; i++) {
    await (await client.fetch(`${origin.url}/x`)).body?.cancel()
    await works(client, origin.url)
  }
  const { drained, closed, read } = client.stats().bodies
  expect([drained + closed, read]).toEqual([40, 40])
})

test('reading and cancelling at the same time ends both (T25)', async () => {
  await using origin = await sends(fixed(20), '0123456789')
  await using client = testClient({ drain: { maxTime: 50 } })
  const reader = (await client.fetch(`${origin.url}/x`)).body?.getReader()
  await reader?.read()
  const reading = reader?.read()
  await reader?.cancel()
  expect((await reading)?.done).toBe(true)
  await works(client, origin.url)
})

test('cancel resolves after a drain and after a failed read alike (T26)', async () => {
  await using origin = await sends(fixed(100), pattern(100))
  await using client = testClient()
  await expect((await client.fetch(`${origin.url}/x`)).body?.cancel()).resolves.toBeUndefined()
  const controller = new AbortController()
  const failed = await client.fetch(`${origin.url}/x`, { signal: controller.signal })
  controller.abort(new Error('mine'))
  await expect(failed.text()).rejects.toThrow('mine')
  expect((await discard(failed)).outcome).toBe('closed')
})

test('a close and a destroy during a drain end it (T28)', async () => {
  for (const how of ['close', 'destroy'] as const) {
    await using origin = await sends(fixed(100), 'abc')
    const client = createClient({ connections: 1 })
    await (await client.fetch(`${origin.url}/x`)).body?.cancel()
    expect(client.stats().sockets.draining).toBe(1)
    await client[how]()
    await until(() => client.stats().sockets.open === 0, 'closed')
    expect(client.stats().sockets.draining).toBe(0)
    expect(client.stats().bodies.closed).toBe(1)
  }
})

test('the time allowed for a drain is not the time allowed for the next body (T29)', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    await reply.write(fixed(4))
    // Longer than the drain of the first may take.
    if (seen.path === '/slow') await new Promise((resolve) => setTimeout(resolve, 800))
    await reply.write('done')
  })
  await using client = testClient({ drain: { readAhead: 0, maxTime: 500 } })
  await (await client.fetch(`${origin.url}/first`)).body?.cancel()
  expect(await (await client.fetch(`${origin.url}/slow`)).text()).toBe('done')
  expect(origin.accepted).toBe(1)
})

test('1000 bodies abandoned at once stay within the limits, and a stuck one delays no other (T30)', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return serveShapes(seen, reply)
    await reply.write(fixed(20_000))
    if (seen.path === '/stuck') return
    await reply.write(pattern(20_000))
  })
  await using client = testClient({ connections: 16, drain: { maxTime: 1_000 } })
  const calls = Array.from({ length: 1_000 }, async (_, i) => {
    const response = await client.fetch(`${origin.url}/${i % 50 === 0 ? 'stuck' : 'x'}`)
    await response.body?.cancel()
  })
  await Promise.all(calls)
  await works(client, origin.url)
  await until(() => client.stats().sockets.draining === 0, 'settled')
  expect(client.stats().bodies).toMatchObject({ open: 0, drained: 980, closed: 20, reasons: { time: 20 } })
  expect(origin.accepted).toBeLessThanOrEqual(16 + 20)
})

test('a drain that failed does not stop later drains (T31)', async () => {
  let isBroken = true
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return serveShapes(seen, reply)
    await reply.write(fixed(1_000))
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (isBroken) reply.reset()
    else await reply.write(pattern(1_000))
    isBroken = false
  })
  await using client = testClient({ drain: { readAhead: 0 } })
  for (let i = 0; i < 3; i++) {
    await (await client.fetch(`${origin.url}/x`)).body?.cancel()
    await until(() => client.stats().sockets.draining === 0, 'settled')
  }
  expect(client.stats().bodies.reasons).toMatchObject({ failed: 1, ended: 2 })
})

test('a response given up while its request is still being sent costs the connection, at once (T35)', async () => {
  const server = createServer((incoming, outgoing) => {
    incoming.on('error', () => {})
    outgoing.writeHead(200).write('x')
  })
  await using listening = await listen(server)
  const { port } = listening
  await using client = testClient()
  const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) })
  const response = await client.fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body, duplex: 'half' })
  await response.body?.cancel()
  await until(() => client.stats().sockets.open === 0, 'connection closed')
  expect(client.stats().bodies.reasons).toMatchObject({ unreusable: 1 })
})
