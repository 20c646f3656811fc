/** Where draining must end: in bytes, in time, or before it began. */
import { performance } from 'node:perf_hooks'
import zlib from 'node:zlib'
import { expect, test } from 'vitest'
import { type ClientOptions } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { createOrigin, type Origin, type Reply } from '../support/origin.ts'
import { createGate } from '../support/parts.ts'
import { pattern, serveShapes, shapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const head = 'HTTP/1.1 200 OK\r\n'
const te = `${head}transfer-encoding: chunked\r\n\r\n`

const answers = (send: (reply: Reply) => void | Promise<void>): Promise<Origin> =>
  createOrigin((seen, reply) => (seen.path === '/ok' ? serveShapes(seen, reply) : send(reply)))

/** One body given up right after its headers, then another request. */
async function giveUpOne(
  origin: Origin,
  drain: NonNullable<ClientOptions['drain']>,
  /** Opens for the rest of the body, of which nothing must come before. */
  gate?: { open(): Promise<void> },
): Promise<object> {
  await using client = testClient({ drain })
  const response = await client.fetch(`${origin.url}/x`)
  await response.body?.cancel()
  if (gate !== undefined) {
    expect(client.stats().sockets.draining).toBe(1)
    await gate.open()
  }
  await works(client, origin.url)
  await until(() => client.stats().sockets.draining === 0, 'settled')
  return client.stats().bodies.reasons
}

test('a rest longer than maxBytes is closed without reading it (T11)', async () => {
  await using origin = await answers(async (reply) => {
    await reply.write(`${head}content-length: 50000000\r\n\r\n`)
    while (reply.isOpen) await reply.write(pattern(65_536))
  })
  await using client = testClient()
  await (await client.fetch(`${origin.url}/x`)).body?.cancel()
  await works(client, origin.url)
  expect(client.stats().bytes.drained).toBe(0)
  expect(client.stats().bodies.reasons).toMatchObject({ bytes: 1 })
  await until(() => origin.resets === 1, 'the origin sees a reset')
})

test('a trickle is bounded in total time, not per read (T13)', async () => {
  await using origin = await answers(async (reply) => {
    await reply.write(`${head}content-length: 100000\r\n\r\n`)
    while (reply.isOpen) {
      await reply.write(Buffer.alloc(100))
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })
  const started = performance.now()
  expect(await giveUpOne(origin, { maxTime: 200 })).toMatchObject({ time: 1 })
  // 100,000 bytes at this pace take 10 s: far from the limit on any machine.
  expect(performance.now() - started).toBeLessThan(5_000)
  expect(origin.accepted).toBe(2)
})

for (const [name, shape] of Object.entries(shapes).filter(([each]) => each.startsWith('stalled'))) {
  test(`a body ${name} is closed at the deadline (T14)`, async () => {
    await using origin = await answers(shape.send)
    expect(await giveUpOne(origin, { maxTime: 100 })).toMatchObject({ time: 1 })
    expect(origin.accepted).toBe(2)
    await until(() => origin.resets === 1, 'reset')
  })
}

test('maxBytes counts framing: 3000 bytes in one-byte chunks are more than 10000 on the wire (T15)', async () => {
  const gate = createGate()
  const body = '1\r\nx\r\n'.repeat(3_000)
  await using origin = await answers(async (reply) => {
    await reply.write(te)
    await gate.wait()
    await reply.write(`${body}0\r\n\r\n`)
  })
  expect(await giveUpOne(origin, { maxBytes: 10_000 }, gate)).toMatchObject({ bytes: 1 })
  expect(await giveUpOne(origin, { maxBytes: 20_000 }, gate)).toMatchObject({ ended: 1 })
})

for (const length of ['2147483648', '4294967301', '9007199254740993']) {
  test(`a declared length of ${length} does not wrap under the limit (T16)`, async () => {
    await using origin = await answers((reply) => reply.write(`${head}content-length: ${length}\r\n\r\nabc`))
    expect(await giveUpOne(origin, {})).toMatchObject({ bytes: 1 })
  })
}

test('a compressed body nobody reads is held as it came, not decoded (T17)', async () => {
  const bomb = zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024))
  await using origin = await answers(async (reply) => {
    await reply.write(`${head}content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`)
    await reply.write(bomb)
  })
  await using client = testClient()
  const kept = await client.fetch(`${origin.url}/x`)
  await until(() => client.stats().sockets.idle === 1, 'received')
  expect(client.stats().bytes).toMatchObject({ held: bomb.length, read: 0 })
  expect(kept.bodyUsed).toBe(false)
})

for (const name of ['close-delimited', 'HTTP/1.0', 'Connection: close']) {
  test(`a body that is ${name} is never drained (T18)`, async () => {
    const first = {
      'close-delimited': head,
      'HTTP/1.0': 'HTTP/1.0 200 OK\r\ncontent-length: 500000\r\n',
      'Connection: close': `${head}connection: close\r\ncontent-length: 500000\r\n`,
    }[name] as string
    await using origin = await answers(async (reply) => {
      await reply.write(`${first}\r\nabc`)
    })
    expect(await giveUpOne(origin, {})).toMatchObject({ unreusable: 1 })
    await until(() => origin.resets === 1, 'reset')
  })
}

test('a body shorter than declared costs its connection only (T19)', async () => {
  const gate = createGate()
  await using origin = await answers(async (reply) => {
    await reply.write(`${head}content-length: 10\r\n\r\nabc`)
    await gate.wait()
    reply.end()
  })
  expect(await giveUpOne(origin, {}, gate)).toMatchObject({ failed: 1 })
})

test('bytes beyond the declared length never become the next answer (T20)', async () => {
  await using origin = await answers((reply) =>
    reply.write(`${head}content-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`),
  )
  await using client = testClient()
  expect(await (await client.fetch(`${origin.url}/x`)).text()).toBe('abc')
  await works(client, origin.url)
  expect(origin.accepted).toBe(2)
})

test('a HEAD that is answered with a body is not pooled (T21)', async () => {
  await using origin = await answers((reply) => reply.write(`${head}content-length: 3\r\n\r\nabc`))
  await using client = testClient()
  await client.fetch(`${origin.url}/x`, { method: 'HEAD' })
  await works(client, origin.url)
  expect(origin.accepted).toBe(2)
})

test("a malformed chunk met while draining is nobody's error (T22)", async () => {
  const gate = createGate()
  await using origin = await answers(async (reply) => {
    await reply.write(`${te}3\r\nabc\r\n`)
    await gate.wait()
    await reply.write('zz\r\n')
  })
  expect(await giveUpOne(origin, {}, gate)).toMatchObject({ failed: 1 })
})

test('an event stream is closed at once, not drained', async () => {
  await using origin = await answers((shapes['event stream'] as (typeof shapes)[string]).send)
  expect(await giveUpOne(origin, {})).toMatchObject({ 'event-stream': 1 })
})
