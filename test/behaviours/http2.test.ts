/** HTTP/2: a given-up stream is reset, the connection stays. */
import { expect, test } from 'vitest'
import { testClient } from '../support/client.ts'
import { createHttp2Origin, tls } from '../support/h2.ts'
import { pattern } from '../support/shapes.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const options = { connections: 1, tls: { ca: tls.cert }, drain: { stall: 100 } }

test('a stream given up early is reset once, and the connection stays (T32)', async () => {
  await using origin = await createHttp2Origin((stream, path) => {
    stream.respond({ ':status': 200 })
    if (path === '/ok') stream.end('ok')
    else stream.write('x')
  })
  await using client = testClient(options)
  for (let i = 0; i < 120; i++) await (await client.fetch(`${origin.url}/x`)).body?.cancel()
  expect(await (await client.fetch(`${origin.url}/ok`)).text()).toBe('ok')
  await until(() => origin.openStreams === 0, 'no stream is left')
  expect(origin.sessions).toBe(1)
  expect(origin.resets).toHaveLength(120)
  // CANCEL, RFC 9113, 7.
  expect(new Set(origin.resets)).toEqual(new Set([8]))
  expect(client.stats().bodies.reasons).toEqual({ http2: 120, complete: 1 })
})

test('streams given up with a full window give it back: one that waits for it completes (T33)', async () => {
  await using origin = await createHttp2Origin((stream, path) => {
    stream.respond({ ':status': 200 })
    stream.end(pattern(path === '/small' ? 200_000 : 3_000_000))
  })
  await using client = testClient(options)
  const full = await Promise.all([1, 2, 3, 4].map(() => client.fetch(`${origin.url}/large`)))
  const readers = full.map((response) => response.body?.getReader())
  for (const reader of readers) await reader?.read()
  for (const reader of readers.slice(1)) await reader?.cancel()
  expect(client.stats().bodies.reasons).toEqual({ http2: 3 })
  const small = Buffer.from(await (await client.fetch(`${origin.url}/small`)).arrayBuffer())
  expect(Buffer.compare(small, pattern(200_000))).toBe(0)
  expect(origin.sessions).toBe(1)
})

test('250 unread answers use one connection although it allows 100 streams', async () => {
  await using origin = await createHttp2Origin((stream) => {
    stream.respond({ ':status': 200 })
    stream.end(pattern(10_000))
  })
  await using client = testClient(options)
  const kept: Response[] = []
  for (let i = 0; i < 250; i++) kept.push(await client.fetch(`${origin.url}/x`))
  expect(origin.sessions).toBe(1)
  for (const response of kept) expect((await response.arrayBuffer()).byteLength).toBe(10_000)
})

test('100 untouched endless streams, all that undici opens at once, do not stop the next request', async () => {
  await using origin = await createHttp2Origin((stream, path) => {
    stream.respond({ ':status': 200 })
    if (path === '/ok') stream.end('ok')
    else stream.write('x')
  })
  await using client = testClient(options)
  const kept: Response[] = []
  for (let i = 0; i < 100; i++) kept.push(await client.fetch(`${origin.url}/x`))
  expect(await (await client.fetch(`${origin.url}/ok`)).text()).toBe('ok')
  expect(origin.sessions).toBe(1)
  expect(client.stats().bodies.reasons).toMatchObject({ http2: 1 })
  expect(kept).toHaveLength(100)
})

test('streams given up with more to come than their window are reset at the server, too, and do not add up', async () => {
  await using origin = await createHttp2Origin(
    (stream) => {
      stream.respond({ ':status': 200 })
      stream.end(pattern(300_000))
    },
    { maxConcurrentStreams: 10 },
  )
  await using client = testClient(options)
  for (let call = 0; call < 30; call++) await (await client.fetch(`${origin.url}/x`)).body?.cancel()
  await until(() => origin.openStreams === 0, 'no stream is left')
  expect(Buffer.from(await (await client.fetch(`${origin.url}/x`)).arrayBuffer())).toHaveLength(300_000)
  expect(origin.sessions).toBe(1)
})
