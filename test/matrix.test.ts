/** Every body shape x every way a caller can treat it x pool limits x lanes: nothing lost, nothing held, one outcome each. */
import { PassThrough, Writable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { request, stream } from 'undici'
import { type Client, createClient, type FetchInit } from '../src/index.ts'
import { createOrigin, type Origin } from './support/origin.ts'
import { serveShapes, type Shape, shapes } from './support/shapes.ts'
import { until, untilCollected } from './support/until.ts'
import { forgetsBodies } from './support/forgotten.ts'

forgetsBodies()

const limits = { readAhead: 64 * 1024, maxBytes: 128 * 1024, maxTime: 300, stall: 100 }

/** A body as its caller sees it, whatever the lane. */
interface Opened {
  read(): Promise<Buffer>
  cancel(): void
  chunks: AsyncIterable<Uint8Array>
  response: Response | undefined
}

type Lane = (client: Client, url: string, shape: Shape, signal?: AbortSignal) => Promise<Opened>

const ofResponse = (response: Response): Opened => ({
  response,
  read: async () => Buffer.from(await response.arrayBuffer()),
  cancel: () => void response.body?.cancel().catch(() => {}),
  get chunks() {
    return (response.body ?? []) as AsyncIterable<Uint8Array>
  },
})

const init = (shape: Shape, signal?: AbortSignal): FetchInit => ({
  method: shape.method ?? 'GET',
  ...(signal === undefined ? undefined : { signal }),
})

const lanes: Record<string, Lane> = {
  fetch: async (client, url, shape, signal) => ofResponse(await client.fetch(url, init(shape, signal))),
  // A window of null changes nothing, but is not for the short lane.
  'fetch, long lane': async (client, url, shape, signal) =>
    ofResponse(await client.fetch(url, { ...init(shape, signal), window: null })),
  // Node's own fetch; on Node 22 and 24 it brings handlers of the old interface.
  'global fetch': async (client, url, shape, signal) =>
    ofResponse(
      await globalThis.fetch(url, { ...init(shape, signal), dispatcher: client.dispatcher } as object),
    ),
  request: async (client, url, shape, signal) => {
    const options = { dispatcher: client.dispatcher, method: shape.method ?? 'GET', signal: signal ?? null }
    const { body } = await request(url, options as Parameters<typeof request>[1])
    body.on('error', () => {})
    return {
      response: undefined,
      read: async () => Buffer.from(await body.arrayBuffer()),
      cancel: () => void body.destroy(),
      chunks: body as AsyncIterable<Uint8Array>,
    }
  },
  stream: async (client, url, shape, signal) => {
    const options = { dispatcher: client.dispatcher, method: shape.method ?? 'GET', signal: signal ?? null }
    const through = new PassThrough()
    through.on('error', () => {})
    const started = Promise.withResolvers<void>()
    const factory = (): PassThrough => {
      started.resolve()
      return through
    }
    stream(url, options as Parameters<typeof stream>[1], factory).catch(started.reject)
    await started.promise
    return {
      response: undefined,
      read: async () => Buffer.concat(await through.toArray()),
      cancel: () => void through.destroy(),
      chunks: through as AsyncIterable<Uint8Array>,
    }
  },
}

const isFetch = (lane: string): boolean => lane !== 'request' && lane !== 'stream'
const isShort = (shape: Shape): boolean => shape.gets instanceof Buffer && shape.gets.length < 200_000

interface Caller {
  readonly skip?: (shape: Shape, lane: string) => boolean
  run(open: (signal?: AbortSignal) => Promise<Opened>, shape: Shape, client: Client): Promise<unknown>
}

const endless = (shape: Shape): boolean => shape.gets === 'endless'
/** The decoder of a fetch sits between body and caller; the bytes of a request are the coded ones. */
const coded = (name: string, lane: string): boolean => name === 'gzip' && !isFetch(lane)

const callers: Record<string, Caller> = {
  'reads all': {
    skip: endless,
    async run(open, shape) {
      const reading = open().then((opened) => opened.read())
      if (shape.gets === 'error') await expect(reading).rejects.toThrow()
      else expect(Buffer.compare(await reading, shape.gets as Buffer)).toBe(0)
    },
  },
  'reads late': {
    skip: (shape) => !isShort(shape),
    async run(open, shape) {
      const opened = await open()
      await new Promise((resolve) => setTimeout(resolve, 30))
      expect(Buffer.compare(await opened.read(), shape.gets as Buffer)).toBe(0)
    },
  },
  'never touches': {
    // Without our fetch nothing tells an untouched trickle from one that is read slowly: no buffer ever fills.
    skip: (shape, lane) => !lane.startsWith('fetch') && endless(shape) && shape.isFast !== true,
    run: async (open) => open(),
  },
  cancels: { run: async (open) => (await open()).cancel() },
  'cancels twice': {
    async run(open) {
      const opened = await open()
      opened.cancel()
      opened.cancel()
    },
  },
  'leaves for await': {
    skip: (shape) => shape.gets === 'error' || /HEAD/.test(shape.method ?? ''),
    async run(open, shape) {
      // One that stalls before its first byte would keep the loop waiting; one that comes may take as long as it likes.
      const controller = new AbortController()
      const opened = await open(controller.signal)
      const timer = shape.gets instanceof Buffer ? undefined : setTimeout(() => controller.abort(), 50)
      try {
        for await (const bytes of opened.chunks) if (bytes.length >= 0) break
      } catch {
        expect(shape.gets).not.toBeInstanceOf(Buffer)
      }
      clearTimeout(timer)
    },
  },
  'throws while reading': {
    skip: (shape) => !isShort(shape),
    async run(open, shape) {
      const opened = await open()
      const boom = new Error('boom')
      const reading = (async () => {
        for await (const bytes of opened.chunks) if (bytes.length > 0) throw boom
      })()
      if ((shape.gets as Buffer).length > 0) await expect(reading).rejects.toBe(boom)
      else await reading
    },
  },
  'aborts before the headers': {
    async run(open) {
      const controller = new AbortController()
      const opening = open(controller.signal)
      controller.abort(new Error('mine'))
      await expect(opening).rejects.toThrow('mine')
    },
  },
  'aborts after the headers': {
    async run(open) {
      const controller = new AbortController()
      await open(controller.signal)
      controller.abort(new Error('mine'))
    },
  },
  'aborts while reading': {
    skip: (shape) => !endless(shape),
    async run(open) {
      const controller = new AbortController()
      const reading = (await open(controller.signal)).read()
      setTimeout(() => controller.abort(new Error('mine')), 20)
      await expect(reading).rejects.toThrow('mine')
    },
  },
  'clones and reads one branch': {
    skip: (shape, lane) => !isFetch(lane) || !isShort(shape) || shape.method === 'HEAD',
    async run(open, shape) {
      const { response } = await open()
      const copy = response?.clone()
      expect(
        Buffer.compare(Buffer.from((await copy?.arrayBuffer()) as ArrayBuffer), shape.gets as Buffer),
      ).toBe(0)
    },
  },
}

let origin: Origin
beforeAll(async () => {
  origin = await createOrigin(serveShapes)
})
afterAll(() => origin.close())

for (const lane of Object.keys(lanes)) {
  for (const [callerName, caller] of Object.entries(callers)) {
    test(`${lane}: a caller that ${callerName} leaves nothing behind, whatever the body`, async () => {
      for (const connections of [1, 8, 1_000]) {
        for (const [name, shape] of Object.entries(shapes)) {
          if (caller.skip?.(shape, lane) === true || coded(name, lane)) continue
          if (shape.isLarge === true && connections !== 8) continue
          await runCell(`${name} x ${connections} connections`, lane, callerName, name, shape, connections)
        }
      }
    }, 60_000)
  }
}

const readers = ['reads all', 'reads late']
const others = ['never touches', 'cancels', 'cancels twice', 'aborts after the headers']
/** A body that is read to its end, or whose rest is worth the connection, leaves it to the next request. */
const leavesConnection = (caller: string, { gets, reusable, isLate = false }: Shape): boolean =>
  reusable &&
  gets instanceof Buffer &&
  (readers.includes(caller) || (others.includes(caller) && gets.length <= limits.readAhead && !isLate))

async function runCell(
  cell: string,
  lane: string,
  callerName: string,
  name: string,
  shape: Shape,
  connections: number,
): Promise<void> {
  const caller = callers[callerName] as Caller
  const client = createClient({ connections, drain: limits })
  const before = origin.accepted
  const open = lanes[lane] as Lane
  const kept: unknown[] = []
  try {
    kept.push(
      await caller.run(
        (signal) => open(client, `${origin.url}/${encodeURIComponent(name)}`, shape, signal),
        shape,
        client,
      ),
    )
    // However the body was treated, the next request is answered.
    expect(await (await client.fetch(`${origin.url}/ok`)).text()).toBe('ok')
    const opened = origin.accepted - before
    if (connections === 1 && leavesConnection(callerName, shape)) expect(opened).toBe(1)
    else expect(opened).toBeLessThanOrEqual(2)
    await client.destroy()
    await until(() => client.stats().sockets.open === 0, 'all sockets closed')
    const { bodies, requests, sockets, bytes } = client.stats()
    // Whole bodies that arrived and that the caller still holds are the only ones without an outcome.
    expect(bodies.open).toBe(bodies.holding)
    expect(bytes.held > 0).toBe(bodies.holding > 0)
    expect({ ...requests, draining: sockets.draining }).toEqual({
      waiting: 0,
      inFlight: 0,
      resent: 0,
      draining: 0,
    })
    const reasons = Object.values(bodies.reasons).reduce((sum, count) => sum + count, 0)
    expect(reasons).toBe(bodies.read + bodies.drained + bodies.closed)
  } catch (error) {
    throw new Error(`${cell}: ${(error as Error).message}\n${JSON.stringify(client.stats())}`, {
      cause: error,
    })
  } finally {
    await client.destroy()
  }
  expect(kept.length).toBe(1)
}

test('stream: undici.stream reads the exact bytes and a destroyed sink gives the rest up', async () => {
  const client = createClient({ connections: 1, drain: limits })
  for (const [name, shape] of Object.entries(shapes)) {
    if (!isShort(shape) || name === 'gzip' || shape.method === 'HEAD') continue
    const chunks: Buffer[] = []
    const sink = new Writable({ write: (bytes: Buffer, _, done) => (chunks.push(bytes), done()) })
    const url = `${origin.url}/${encodeURIComponent(name)}`
    await stream(url, { dispatcher: client.dispatcher, method: 'GET' }, () => sink)
    expect(Buffer.compare(Buffer.concat(chunks), shape.gets as Buffer), name).toBe(0)
  }
  const failing = stream(
    `${origin.url}/endless%20and%20fast`,
    { dispatcher: client.dispatcher, method: 'GET' },
    () => new Writable({ write: (_bytes, _encoding, done) => done(new Error('full')) }),
  )
  await expect(failing).rejects.toThrow('full')
  expect(await (await client.fetch(`${origin.url}/ok`)).text()).toBe('ok')
  await client.destroy()
})

for (const how of ['close', 'destroy'] as const) {
  test(`a client that is told to ${how} ends, whatever its open bodies`, async () => {
    for (const [name, shape] of Object.entries(shapes)) {
      const client = createClient({ connections: 2, drain: limits })
      const response = await client.fetch(`${origin.url}/${encodeURIComponent(name)}`, init(shape))
      await client[how]()
      await until(() => client.stats().sockets.open === 0, `${name}: sockets closed`)
      const { bodies, sockets } = client.stats()
      expect(bodies.open, name).toBe(bodies.holding)
      expect(sockets.draining, name).toBe(0)
      await response.arrayBuffer().catch(() => {})
    }
  })
}

test('a dropped Response is collected, and its socket and memory come back', async () => {
  const client = createClient({ connections: 1, drain: { ...limits, stall: 60_000 } })
  for (const name of ['64 MiB', 'chunked', 'endless trickle', 'stalled in a chunk', 'readAhead and one']) {
    await client.fetch(`${origin.url}/${encodeURIComponent(name)}`)
    await untilCollected(
      () => client.stats().bodies.open === 0 && client.stats().sockets.draining === 0,
      `${name} collected`,
    )
  }
  expect(client.stats().bytes.held).toBe(0)
  expect(await (await client.fetch(`${origin.url}/ok`)).text()).toBe('ok')
  await client.close()
})
