/** What is received of bodies nobody reads yet: as much as the contract says, seen from both ends. */
import zlib from 'node:zlib'
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { testClient, works } from '../support/client.ts'
import { createOrigin, type Origin } from '../support/origin.ts'
import { pattern, serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'

const KiB = 1024
const MiB = 1024 * KiB
const head = 'HTTP/1.1 200 OK\r\n'
/** The most undici takes off a socket before it looks whether to go on. */
const oneRead = 64 * KiB

const chunk = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])

/** A number that has been the same for many turns of the event loop. */
async function standstill(value: () => number): Promise<number> {
  let [last, same] = [value(), 0]
  await until(() => {
    same = value() === last ? same + 1 : 0
    last = value()
    return same > 50
  }, 'a standstill')
  return last
}

/** `/declared` and `/chunked` are of 64 MiB. */
const long = (): Promise<Origin> =>
  createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return serveShapes(seen, reply)
    const isChunked = seen.path === '/chunked'
    await reply.write(
      head + (isChunked ? 'transfer-encoding: chunked\r\n\r\n' : `content-length: ${64 * MiB}\r\n\r\n`),
    )
    for (let sent = 0; sent < 64 * MiB && reply.isOpen; sent += 64 * KiB) {
      const bytes = pattern(64 * KiB)
      await reply.write(isChunked ? chunk(bytes) : bytes)
    }
    if (isChunked) await reply.write('0\r\n\r\n')
  })

for (const [lane, init] of [
  ['short lane', {}],
  ['long lane', { cache: 'no-cache' }],
] as const) {
  for (const framing of ['declared', 'chunked']) {
    test(`${lane}: of a body of 64 MiB, ${framing}, that nobody touches, the origin can send no more than sockets buffer`, async () => {
      await using origin = await long()
      await using client = testClient({ drain: { readAhead: 256 * KiB, stall: 60_000 } })
      const response = await client.fetch(`${origin.url}/${framing}`, init)
      expect(await standstill(() => origin.bytesSent)).toBeLessThan(16 * MiB)
      const { bytes, bodies } = client.stats()
      // Of a length that says it is too long nothing is begun; without one it has to prove so.
      if (framing === 'declared') expect(bytes.held).toBeLessThanOrEqual(oneRead)
      else expect(bytes.held).toBeGreaterThan(256 * KiB)
      expect(bytes.held).toBeLessThanOrEqual((framing === 'declared' ? 0 : 256 * KiB) + oneRead)
      expect(bodies).toMatchObject({ open: 1, drained: 0, closed: 0 })
      let length = 0
      for await (const part of response.body ?? []) length += part.length
      expect(length).toBe(64 * MiB)
      await works(client, origin.url)
      expect(origin.accepted).toBe(1)
    })
  }
}

test('chunked bodies stop at drain.memory, and at most one read of each connection comes on top', async () => {
  const [size, memory, count] = [900 * KiB, 512 * KiB, 4]
  const body = pattern(size)
  await using origin = await createOrigin(async (_, reply) => {
    await reply.write(`${head}transfer-encoding: chunked\r\n\r\n`)
    for (let at = 0; at < size; at += 10 * KiB) await reply.write(chunk(body.subarray(at, at + 10 * KiB)))
    await reply.write('0\r\n\r\n')
  })
  await using client = testClient({
    connections: count,
    drain: { readAhead: MiB, memory, stall: 60_000 },
  })
  const kept = await Promise.all(Array.from({ length: count }, () => client.fetch(origin.url)))
  const held = await standstill(() => client.stats().bytes.held)
  expect(held).toBeGreaterThanOrEqual(memory)
  expect(held).toBeLessThanOrEqual(memory + count * oneRead)
  for (const response of kept) expect(Buffer.compare(await response.bytes(), body)).toBe(0)
  expect(client.stats().bytes.held).toBe(0)
})

test('long lane: a compressed body is pulled by its decoder once its stream is touched, and not before', async () => {
  const coded = zlib.gzipSync(randomBytes(4 * MiB))
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return serveShapes(seen, reply)
    await reply.write(`${head}content-encoding: gzip\r\ncontent-length: ${coded.length}\r\n\r\n`)
    for (let at = 0; at < coded.length && reply.isOpen; at += 64 * KiB)
      await reply.write(coded.subarray(at, at + 64 * KiB))
  })
  await using client = testClient({ drain: { readAhead: 0, stall: 60_000 } })
  const response = await client.fetch(origin.url, { cache: 'no-cache' })
  const before = await standstill(() => client.stats().bytes.read)
  const { body } = response
  await until(() => client.stats().bytes.read > before, 'it is pulled')
  await body?.cancel()
  await works(client, origin.url)
})
