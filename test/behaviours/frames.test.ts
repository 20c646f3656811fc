/** HTTP/2 counted in frames: a reset for each body given up and for no other, and windows that add up. */
import http2 from 'node:http2'
import { expect, test } from 'vitest'
import { type Client, type ClientOptions, createClient } from '../../src/index.ts'
import { until } from '../support/until.ts'
import { createH2Origin, type Frame, frameTypes, type H2Origin, trust } from './support/h2.ts'

const MiB = 1024 * 1024
const { data, resetStream, windowUpdate } = frameTypes

/** `/ok` is small, `/large` is 4 MiB, `/open` never ends. */
const serve = (stream: http2.ServerHttp2Stream, path: string): void => {
  stream.respond({ ':status': 200 })
  if (path === '/open') stream.write('x')
  else if (path === '/ok') stream.end('ok')
  else sendLarge(stream, 4 * MiB)
}

/** Piece by piece: what a session has buffered counts against its memory. */
function sendLarge(stream: http2.ServerHttp2Stream, left: number): void {
  if (stream.destroyed) return
  if (left === 0) stream.end()
  else stream.write(Buffer.alloc(64 * 1024), (error) => error ?? sendLarge(stream, left - 64 * 1024))
}

const client = (options: ClientOptions = {}): Client => createClient({ ...trust, connections: 1, ...options })

const resetFrames = (origin: H2Origin): Frame[] =>
  origin.frames.filter(({ from, type }) => from === 'client' && type === resetStream)

/** The streams the client has reset. */
const resets = (origin: H2Origin): number[] => resetFrames(origin).map(({ stream }) => stream)

async function works(on: Client, origin: H2Origin): Promise<void> {
  expect(await (await on.fetch(`${origin.url}/ok`)).text()).toBe('ok')
}

/** Nothing is open, nothing waits, and close() resolves because of it. */
async function settled(on: Client, origin: H2Origin): Promise<void> {
  await until(() => on.stats().requests.inFlight === 0, 'no request in flight')
  const { requests, bodies, sockets } = on.stats()
  expect({ requests, open: bodies.open, draining: sockets.draining }).toEqual({
    requests: expect.objectContaining({ waiting: 0, inFlight: 0 }),
    open: 0,
    draining: 0,
  })
  await on.close()
  await until(() => origin.open === 0, 'the origin has seen every frame')
}

test('120 bodies given up are 120 resets, one for each stream, on one connection (T32)', async () => {
  await using origin = await createH2Origin(serve)
  const on = client()
  for (let i = 0; i < 120; i++) {
    const response = await on.fetch(`${origin.url}/large`)
    await response.body?.cancel()
    await response.body?.cancel()
  }
  await works(on, origin)
  await until(() => resets(origin).length >= 120, 'all reset')
  expect(origin.accepted).toBe(1)
  expect(on.stats().bodies.reasons).toEqual({ http2: 120, complete: 1 })
  await settled(on, origin)
  expect(new Set(resets(origin)).size).toBe(120)
  expect(resets(origin)).toHaveLength(120)
  expect(new Set(resetFrames(origin).map(({ number }) => number))).toEqual(
    new Set([http2.constants.NGHTTP2_CANCEL]),
  )
})

test('bodies given up do not use up the one stream the origin allows (T32)', async () => {
  await using origin = await createH2Origin(serve, { settings: { maxConcurrentStreams: 1 } })
  const on = client({ drain: { stall: 60_000 } })
  await works(on, origin)
  for (let i = 1; i <= 10; i++) {
    await (await on.fetch(`${origin.url}/open`)).body?.cancel()
    // A Node origin at its limit refuses a stream that comes in the same packet as the reset of another.
    await until(() => origin.openStreams === 0, 'the origin has closed the stream')
    await works(on, origin)
    await until(() => origin.openStreams === 0, 'the origin has closed the stream')
    expect(resets(origin)).toHaveLength(i)
  }
  expect(origin.accepted).toBe(1)
  await settled(on, origin)
})

for (const [padding, paddingStrategy] of [
  ['unpadded', http2.constants.PADDING_STRATEGY_NONE],
  ['padded', http2.constants.PADDING_STRATEGY_MAX],
] as const) {
  test(`bytes of bodies given up in flight return to the window exactly once: ${padding} (T33)`, async () => {
    await using origin = await createH2Origin(serve, { paddingStrategy })
    const on = client({ drain: { readAhead: 0 } })
    for (let i = 0; i < 60; i++) {
      const response = await on.fetch(`${origin.url}/large`)
      // A different part of the body is on its way each time.
      const reader = response.body?.getReader()
      for (let reads = 0; reads < i % 5; reads++) await reader?.read()
      await reader?.cancel()
    }
    // It needs many times the window: any loss would have stopped it.
    const whole = await (await on.fetch(`${origin.url}/large`)).arrayBuffer()
    expect(whole.byteLength).toBe(4 * MiB)
    expect(origin.accepted).toBe(1)

    const own = (frame: (typeof origin.frames)[number]): number =>
      frame.type === windowUpdate ? frame.number : 0
    const grants = origin.frames.filter(({ from, stream }) => from === 'client' && stream === 0).map(own)
    const granted = grants.reduce((sum, each) => sum + each, 65_535)
    const sent = origin.frames
      .filter(({ from, type }) => from === 'server' && type === data)
      .reduce((sum, { length }) => sum + length, 0)
    expect(sent).toBeGreaterThan(4 * MiB)
    // undici opens a window of 512 KiB and tells the origin when about half is used. Bytes returned twice would make it larger,
    // and of the many megabytes sent in between any loss would make it smaller.
    expect(granted - sent).toBeLessThanOrEqual(512 * 1024)
    expect(granted - sent).toBeGreaterThan(128 * 1024)
    await settled(on, origin)
  })
}

test('untouched bodies do not use up the window that others need (T33)', async () => {
  await using origin = await createH2Origin(serve)
  const on = client({ drain: { readAhead: 0, stall: 60_000 } })
  const untouched = await Promise.all(Array.from({ length: 8 }, () => on.fetch(`${origin.url}/large`)))
  expect((await (await on.fetch(`${origin.url}/large`)).arrayBuffer()).byteLength).toBe(4 * MiB)
  expect(on.stats().bodies).toMatchObject({ open: 8, closed: 0 })
  for (const response of untouched) await response.body?.cancel()
  expect(origin.accepted).toBe(1)
  await settled(on, origin)
})

test('bodies whose end has arrived are given up without a reset (T34)', async () => {
  await using origin = await createH2Origin(serve)
  const on = client()
  for (let i = 0; i < 20; i++) {
    const response = await on.fetch(`${origin.url}/ok`)
    await until(() => on.stats().requests.inFlight === 0, 'received')
    await response.body?.cancel()
  }
  await works(on, origin)
  expect(on.stats().bodies.reasons).toEqual({ received: 20, complete: 1 })
  await settled(on, origin)
  expect(resets(origin)).toEqual([])
})

test('a body given up while its request is still being sent ends the stream only (T35)', async () => {
  await using origin = await createH2Origin(serve)
  const on = client()
  let timer: NodeJS.Timeout | undefined
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new Uint8Array(10))
      timer = setInterval(() => controller.enqueue(new Uint8Array(10)), 5)
    },
    cancel: () => clearInterval(timer),
  })
  try {
    const response = await on.fetch(`${origin.url}/open`, { method: 'POST', body, duplex: 'half' } as object)
    await response.body?.cancel()
    await until(() => resets(origin).length === 1, 'the stream is reset')
    await works(on, origin)
    expect(origin.accepted).toBe(1)
    await settled(on, origin)
    expect(resets(origin)).toHaveLength(1)
  } finally {
    clearInterval(timer)
  }
})
