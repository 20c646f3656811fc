/** Where the connection must be kept. Reuse is proved by the origin, which accepted one connection. */
import { expect, test } from 'vitest'
import { discard } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'
import { holds, sends } from '../support/parts.ts'
import { pattern, serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'

const head = 'HTTP/1.1 200 OK\r\n'
const te = `${head}transfer-encoding: chunked\r\n\r\n`

const framings: Record<string, (Buffer | string)[]> = {
  'content-length': [`${head}content-length: 1000\r\n\r\n`, pattern(999), 'z'],
  'a single chunk': [`${te}3e8\r\n`, pattern(999), 'z\r\n0\r\n\r\n'],
  'a byte per chunk': [te, '1\r\nx\r\n'.repeat(999), '1\r\nz\r\n0\r\n\r\n'],
}

for (const [framing, parts] of Object.entries(framings)) {
  test(`a body of ${framing} read but for its last byte keeps its connection (T1)`, async () => {
    await using origin = await sends(...parts)
    await using client = testClient()
    const response = await client.fetch(`${origin.url}/x`)
    let got = 0
    for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
      got += bytes.length
      if (got >= 999) break
    }
    await until(() => client.stats().sockets.idle === 1, 'the connection is free')
    await origin.stopListening()
    await works(client, origin.url)
    expect(origin.accepted).toBe(1)
  })

  test(`a small body of ${framing} that nobody reads keeps its connection, without a drain (T2)`, async () => {
    await using origin = await sends(...parts)
    await using client = testClient()
    const response = await client.fetch(`${origin.url}/x`)
    await until(() => client.stats().sockets.idle === 1, 'received')
    expect(client.stats().bodies).toMatchObject({ open: 1, holding: 1, read: 0, drained: 0, closed: 0 })
    await works(client, origin.url)
    expect(origin.accepted).toBe(1)
    expect((await response.arrayBuffer()).byteLength).toBe(1000)
  })
}

for (const [when, parts] of [
  ['in the same packet', [`${te}0\r\n\r\n`]],
  ['in a later packet', [te, '0\r\n\r\n']],
] as const) {
  test(`100 empty chunked bodies, unread and unclosed, need no port each: last chunk ${when} (T3)`, async () => {
    await using origin = await sends(...parts)
    await using client = testClient({ connections: 1_000 })
    const kept: Response[] = []
    for (let i = 0; i < 100; i++) kept.push(await client.fetch(`${origin.url}/x`))
    // One, and one more for each time the machine holds this process up for longer than a request waits for it.
    expect(origin.accepted).toBeLessThanOrEqual(10)
    await until(() => client.stats().bodies.read === 100, 'all ended')
    expect(kept).toHaveLength(100)
  })
}

test('50 callers at once keep their connections, however many of their answers end in one turn', async () => {
  await using origin = await createOrigin((_, reply) =>
    reply.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`),
  )
  await using client = testClient({ connections: 300 })
  const caller = async (): Promise<void> => {
    for (let call = 0; call < 6; call++) await (await client.fetch(origin.url)).text()
  }
  await Promise.all(Array.from({ length: 50 }, caller))
  expect(origin.seen).toHaveLength(300)
  // 50, and more where the machine holds this process up; a connection for each call would be 300.
  expect(origin.accepted).toBeLessThanOrEqual(120)
})

test('chunked data read and the last chunk left keeps its connection (T4)', async () => {
  await using origin = await sends(`${te}2\r\n{}\r\n`, '0\r\n\r\n')
  await using client = testClient()
  const reader = (await client.fetch(`${origin.url}/x`)).body?.getReader()
  expect(Buffer.from((await reader?.read())?.value as Uint8Array).toString()).toBe('{}')
  await works(client, origin.url)
  expect(origin.accepted).toBe(1)
})

test('trailers after a body that was given up are drained and go nowhere (T5)', async () => {
  await using origin = await holds(`${te}3\r\nabc\r\n`, '0\r\nx-sum: 1\r\n', 'x-more: 2\r\n\r\n')
  await using client = testClient()
  await (await client.fetch(`${origin.url}/x`)).body?.cancel()
  await origin.release()
  await works(client, origin.url)
  expect(origin.accepted).toBe(1)
  expect(client.stats().bodies.reasons).toMatchObject({ ended: 1 })
})

for (const [size, accepted, reasons] of [
  [100_000, 1, { ended: 1 }],
  [100_001, 2, { bytes: 1 }],
] as const) {
  test(`a rest of ${size} bytes under maxBytes 100000 ends as ${Object.keys(reasons).join()} (T6)`, async () => {
    await using origin = await holds(`${head}content-length: ${size}\r\n\r\n`, pattern(size))
    await using client = testClient({ drain: { readAhead: 0, maxBytes: 100_000 } })
    await (await client.fetch(`${origin.url}/x`)).body?.cancel()
    await origin.release()
    await works(client, origin.url)
    expect(origin.accepted).toBe(accepted)
    expect(client.stats().bodies.reasons).toMatchObject(reasons)
  })
}

test('maxBytes 0 keeps the connection of a body that has arrived (T7)', async () => {
  await using origin = await sends(`${head}content-length: 1000\r\n\r\n`, pattern(1000))
  await using client = testClient({ drain: { maxBytes: 0 } })
  const response = await client.fetch(`${origin.url}/x`)
  await until(() => client.stats().sockets.idle === 1, 'received')
  await response.body?.cancel()
  await works(client, origin.url)
  expect(origin.accepted).toBe(1)
  expect(client.stats().bodies.reasons).toMatchObject({ received: 1 })
})

test('a body read to its end and never closed keeps its connection (T8)', async () => {
  await using origin = await sends(`${te}3\r\nabc\r\n0\r\n\r\n`)
  await using client = testClient()
  const reader = (await client.fetch(`${origin.url}/x`)).body?.getReader()
  while ((await reader?.read())?.done === false);
  await works(client, origin.url)
  expect(origin.accepted).toBe(1)
})

test('the body of a redirect is drained and the hop shares its connection (T10)', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path !== '/moved') return serveShapes(seen, reply)
    // No more than is on its way anyway: it is drained however slow the machine seems.
    await reply.write(`HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: 65536\r\n\r\n`)
    await reply.write(pattern(65_536))
  })
  await using client = testClient()
  for (let i = 0; i < 10; i++) expect(await (await client.fetch(`${origin.url}/moved`)).text()).toBe('ok')
  expect(origin.accepted).toBe(1)
  expect(client.stats().bodies.reasons).toMatchObject({ ended: 10 })
})

test('a redirect whose body never ends costs its connection, not the call (T10)', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path !== '/moved') return serveShapes(seen, reply)
    await reply.write('HTTP/1.1 302 Found\r\nlocation: /ok\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n')
  })
  await using client = testClient({ drain: { maxTime: 100 } })
  expect(await (await client.fetch(`${origin.url}/moved`)).text()).toBe('ok')
  expect(origin.accepted).toBe(2)
  expect(client.stats().bodies.reasons).toMatchObject({ time: 1 })
})

test('a body of which one byte is left is drained however large it was (T12)', async () => {
  const size = 1024 * 1024
  await using origin = await sends(`${head}content-length: ${size}\r\n\r\n`, pattern(size - 1), 'z')
  await using client = testClient({ drain: { maxBytes: 1 } })
  const response = await client.fetch(`${origin.url}/x`)
  let got = 0
  for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
    got += bytes.length
    if (got >= size - 1) break
  }
  await works(client, origin.url)
  expect(origin.accepted).toBe(1)
})

test('discard() of an unread body keeps its connection', async () => {
  await using origin = await holds(`${head}content-length: 200000\r\n\r\n`, pattern(200_000))
  await using client = testClient()
  const discarded = discard(await client.fetch(`${origin.url}/x`))
  await origin.release()
  expect(await discarded).toMatchObject({ outcome: 'drained', bytes: 200_000 })
  await works(client, origin.url)
  expect(origin.accepted).toBe(1)
})

test('one slow body does not make every later one be closed: what is closed teaches nothing, so the estimate fades', async () => {
  const size = 256 * 1024
  let isFirst = true
  await using origin = await createOrigin(async (seen, reply) => {
    await reply.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
    if (isFirst) {
      isFirst = false
      for (let part = 0; part < 8; part++) {
        await reply.write(pattern(size / 8))
        await new Promise((resolve) => setTimeout(resolve, 60))
      }
      return
    }
    await reply.write(pattern(size))
  })
  await using client = testClient()
  expect((await (await client.fetch(origin.url)).bytes()).length).toBe(size)
  const { bytesPerMs } = client.stats().origins[origin.url] ?? {}
  expect(bytesPerMs).toBeLessThan(1_000)
  for (let i = 0; i < 60; i++) await (await client.fetch(origin.url)).body?.cancel()
  const { reasons } = client.stats().bodies
  expect(reasons.cost).toBeGreaterThan(0)
  expect(reasons.cost).toBeLessThan(12)
  expect(origin.accepted).toBeLessThan(14)
})
