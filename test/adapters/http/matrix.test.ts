/** Every body shape x every way a caller can treat it x pool limits: nothing lost, nothing held, one outcome each. */
import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DrainedAgent } from '../../../src/adapters/node-http.ts'
import { createOrigin, type Origin } from '../../support/origin.ts'
import { serveShapes, type Shape, shapes } from '../../support/shapes.ts'
import { until } from '../../support/until.ts'
import { get, type Got, read, works } from './support/agents.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

const drain = { readAhead: 64 * 1024, maxBytes: 128 * 1024, maxTime: 300, stall: 100 }

type Open = (signal?: AbortSignal) => Promise<Got>
interface Caller {
  readonly skip?: (shape: Shape, name: string) => boolean
  run(open: Open, shape: Shape, name: string): Promise<unknown>
}

const endless = (shape: Shape): boolean => shape.gets === 'endless'
const isShort = (shape: Shape): boolean => shape.gets instanceof Buffer && shape.gets.length < 200_000

/** Node tells a truncated body to whoever reads, and a malformed one to the request. */
async function readsAll({ response }: Got, shape: Shape, name: string): Promise<void> {
  if (shape.gets === 'error') {
    await expect(read(response)).rejects.toThrow()
    return
  }
  const body = await read(response)
  // The agent hands on what was sent; decoding is for those above.
  if (name !== 'gzip') expect(Buffer.compare(body, shape.gets as Buffer)).toBe(0)
}

const callers: Record<string, Caller> = {
  'reads all': { skip: endless, run: async (open, shape, name) => readsAll(await open(), shape, name) },
  'reads late': {
    skip: (shape) => !isShort(shape),
    async run(open, shape, name) {
      const got = await open()
      await new Promise((resolve) => setTimeout(resolve, 30))
      await readsAll(got, shape, name)
    },
  },
  'never touches': { run: (open) => open() },
  'destroys the response': { run: async (open) => (await open()).response.destroy() },
  'destroys the response late': {
    async run(open) {
      const { response } = await open()
      await new Promise((resolve) => setTimeout(resolve, 20))
      response.destroy()
    },
  },
  'destroys the request': { run: async (open) => (await open()).request.destroy() },
  'destroys both, twice': {
    async run(open) {
      const { request, response } = await open()
      response.destroy()
      request.destroy()
      response.destroy()
    },
  },
  'leaves for await': {
    skip: (shape) => shape.gets === 'error' || shape.method === 'HEAD',
    async run(open, shape) {
      const controller = new AbortController()
      const { response } = await open(controller.signal)
      const timer = shape.gets instanceof Buffer ? undefined : setTimeout(() => controller.abort(), 50)
      try {
        for await (const chunk of response) if (chunk !== undefined) break
      } catch {
        expect(shape.gets).not.toBeInstanceOf(Buffer)
      }
      clearTimeout(timer)
    },
  },
  'aborts before the headers': {
    async run(open) {
      const controller = new AbortController()
      const opening = open(controller.signal)
      controller.abort()
      await expect(opening).rejects.toThrow('aborted')
    },
  },
  'aborts after the headers': {
    async run(open) {
      const controller = new AbortController()
      await open(controller.signal)
      controller.abort()
    },
  },
  'aborts while reading': {
    skip: (shape) => !endless(shape),
    async run(open) {
      const controller = new AbortController()
      const { response } = await open(controller.signal)
      const reading = read(response)
      setTimeout(() => controller.abort(), 20)
      await expect(reading).rejects.toThrow('aborted')
    },
  },
  resumes: { skip: endless, run: async (open) => (await open()).response.resume() },
}

let origin: Origin
beforeAll(async () => {
  origin = await createOrigin(serveShapes)
})
afterAll(() => origin.close())

for (const [callerName, caller] of Object.entries(callers)) {
  test(`a caller that ${callerName} leaves nothing behind, whatever the body`, async () => {
    for (const maxSockets of [1, 8, Infinity]) {
      for (const [name, shape] of Object.entries(shapes)) {
        if (caller.skip?.(shape, name) === true) continue
        // Without a limit nobody waits, so nobody starves.
        if (maxSockets !== 1 && callerName === 'never touches' && endless(shape)) continue
        if (shape.isLarge === true && maxSockets !== 8) continue
        await runCell(`${name} x ${maxSockets} sockets`, callerName, name, shape, maxSockets)
      }
    }
  }, 90_000)
}

const readers = ['reads all', 'reads late', 'resumes']
const others = ['never touches', 'destroys the response', 'destroys both, twice']
/** A body that is read to its end, or whose rest is worth the connection, leaves it to the next request. */
const leavesConnection = (caller: string, { gets, reusable, isLate = false }: Shape): boolean =>
  reusable &&
  gets instanceof Buffer &&
  (readers.includes(caller) || (others.includes(caller) && gets.length <= drain.readAhead && !isLate))

async function runCell(
  cell: string,
  callerName: string,
  name: string,
  shape: Shape,
  maxSockets: number,
): Promise<void> {
  const caller = callers[callerName] as Caller
  const agent = new DrainedAgent({ maxSockets, drain })
  const before = origin.accepted
  const path = `${origin.url}/${encodeURIComponent(name)}`
  const kept: (IncomingMessage | undefined)[] = []
  const open: Open = async (signal) => {
    const got = await get(path, {
      agent,
      method: shape.method ?? 'GET',
      ...(signal === undefined ? {} : { signal }),
    })
    kept.push(got.response)
    got.response.on('error', () => {})
    return got
  }
  try {
    await caller.run(open, shape, name)
    // However the body was treated, the next request is answered.
    await works(agent, origin.url)
    const opened = origin.accepted - before
    if (maxSockets === 1 && leavesConnection(callerName, shape)) expect(opened).toBe(1)
    else expect(opened).toBeLessThanOrEqual(2)
    await until(() => agent.stats().sockets.draining === 0, 'drained')
    agent.destroy()
    await until(() => agent.stats().sockets.open === 0, 'closed')
    await until(
      () => agent.stats().bodies.open === agent.stats().bodies.holding,
      'one outcome each, but for what is still held',
    )
    const { bodies, requests, sockets, bytes } = agent.stats()
    expect(bytes.held > 0).toBe(bodies.holding > 0)
    expect({ ...requests, draining: sockets.draining }).toMatchObject({
      waiting: 0,
      inFlight: 0,
      draining: 0,
    })
    const reasons = Object.values(bodies.reasons).reduce((sum, count) => sum + count, 0)
    expect(reasons).toBe(bodies.read + bodies.drained + bodies.closed)
  } catch (error) {
    throw new Error(`${cell}: ${(error as Error).message}\n${JSON.stringify(agent.stats())}`, {
      cause: error,
    })
  } finally {
    agent.destroy()
  }
}
