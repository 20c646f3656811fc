/** While requests wait, a response nobody touched is given up after `stall`; one that somebody reads, however slowly, never is. */
import diagnostics from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { BodyReclaimedError } from '../../../src/adapters/node-http.ts'
import type { ReclaimEvent } from '../../../src/index.ts'
import { createOrigin } from '../../support/origin.ts'
import { serveShapes } from '../../support/shapes.ts'
import { until } from '../../support/until.ts'
import { get, read, testAgent, works } from './support/agents.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

const stall = 50

for (const shape of [
  'endless trickle',
  'endless and fast',
  '64 MiB',
  'stalled in the body',
  'event stream',
]) {
  test(`untouched while others wait: ${shape} is given up, oldest first`, async () => {
    const events: ReclaimEvent[] = []
    const onReclaim = (event: unknown): unknown => events.push(event as ReclaimEvent)
    diagnostics.subscribe('drained:reclaim', onReclaim)
    await using origin = await createOrigin(serveShapes)
    await using agent = testAgent({ maxSockets: 2, drain: { stall } })
    const { response } = await get(`${origin.url}/${encodeURIComponent(shape)}`, { agent })
    const second = await get(`${origin.url}/${encodeURIComponent(shape)}`, { agent })
    await works(agent, origin.url)
    diagnostics.unsubscribe('drained:reclaim', onReclaim)
    expect(events).toMatchObject([
      { client: 'agent', origin: origin.url, method: 'GET', status: 200, waiting: 1 },
    ])
    expect(events[0]?.age).toBeGreaterThanOrEqual(stall)
    // Nobody has been disturbed until he reads.
    expect(response.destroyed).toBe(false)
    await expect(read(response)).rejects.toBeInstanceOf(BodyReclaimedError)
    second.response.destroy()
  })
}

const late: Record<string, (response: IncomingMessage) => Promise<unknown>> = {
  'for await': read,
  'data listeners': (response) =>
    new Promise((resolve, reject) =>
      response
        .on('error', reject)
        .on('end', resolve)
        .on('data', () => {}),
    ),
  'readable listeners': (response) =>
    new Promise((resolve, reject) =>
      response
        .on('error', reject)
        .on('end', resolve)
        .on('readable', () => {}),
    ),
  pipeline: (response) => pipeline(response, new PassThrough()),
  'Readable.toWeb': async (response) => new Response(Readable.toWeb(response) as ReadableStream).text(),
  toArray: (response) => response.toArray(),
}

for (const [how, reader] of Object.entries(late)) {
  test(`${how}, too late: a BodyReclaimedError that names the origin and the age`, async () => {
    await using origin = await createOrigin(serveShapes)
    await using agent = testAgent({ drain: { stall } })
    const { request, response } = await get(`${origin.url}/64%20MiB`, { agent })
    // Node would crash a process whose request has no listener for errors by now.
    request.removeAllListeners('error')
    await works(agent, origin.url)
    const error = await reader(response).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(BodyReclaimedError)
    expect(error).toMatchObject({ code: 'ERR_DRAINED_BODY_RECLAIMED', origin: origin.url })
    expect((error as BodyReclaimedError).age).toBeGreaterThanOrEqual(stall)
    expect(response.complete).toBe(false)
  })
}

test('a response that is taken back and never read ends for its user when he destroys it', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ drain: { stall } })
  const { request, response } = await get(`${origin.url}/64%20MiB`, { agent })
  await works(agent, origin.url)
  const events: string[] = []
  request.on('close', () => events.push('request close'))
  response.on('aborted', () => events.push('aborted')).on('close', () => events.push('close'))
  response.destroy()
  await until(() => events.length === 3, 'events')
  expect(events.toSorted()).toEqual(['aborted', 'close', 'request close'])
})

const readers: Record<string, (response: IncomingMessage) => unknown> = {
  'a slow loop': async (response) => {
    for await (const chunk of response) {
      await until(() => isDone, 'test over')
      if (chunk !== undefined) break
    }
  },
  'a pipe that is stalled': (response) => response.pipe(new PassThrough()),
  'a pipeline that is stalled': (response) => pipeline(response, new PassThrough()).catch(() => {}),
  'pause()': (response) => response.pause(),
  'pause() after a chunk': (response) => response.once('data', () => response.pause()),
  'a listener for readable': (response) => response.on('readable', () => {}),
  'one read()': (response) => response.read() as unknown,
}
let isDone = false

for (const [how, reader] of Object.entries(readers)) {
  test(`${how} is a reader: never taken from`, async () => {
    isDone = false
    await using origin = await createOrigin(serveShapes)
    await using agent = testAgent({ maxSockets: 2, drain: { stall: 10 } })
    const { response } = await get(`${origin.url}/64%20MiB`, { agent })
    response.on('error', () => {})
    void reader(response)
    // Younger, so that the other would be taken first if it could be.
    const untouched = await get(`${origin.url}/64%20MiB`, { agent })
    await works(agent, origin.url)
    expect(agent.stats().bodies).toMatchObject({ drained: 0, closed: 1 })
    await expect(read(untouched.response).then(({ length }) => length)).rejects.toBeInstanceOf(
      BodyReclaimedError,
    )
    isDone = true
    response.destroy()
  })
}

test('maxTotalSockets is a limit like any other', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ maxSockets: 8, maxTotalSockets: 2, drain: { stall } })
  await get(`${origin.url}/64%20MiB`, { agent })
  await get(`${origin.url}/64%20MiB`, { agent })
  await works(agent, origin.url)
})

test('maxSockets lowered later is the limit from then on', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ maxSockets: 128, drain: { stall } })
  agent.maxSockets = 2
  for (let i = 0; i < 2; i++) await get(`${origin.url}/endless%20and%20fast`, { agent })
  await works(agent, origin.url)
  expect(agent.stats().sockets.open).toBeLessThanOrEqual(2)
})

test('maxSockets raised later to no limit: making a connection is no waiting, and nothing is taken back for it', async () => {
  await using origin = await createOrigin(serveShapes)
  // Longer than a busy machine takes to connect.
  await using agent = testAgent({ maxSockets: 2, drain: { stall: 2_000 } })
  agent.maxSockets = Infinity
  const kept: IncomingMessage[] = []
  for (let i = 0; i < 2; i++) kept.push((await get(`${origin.url}/64%20MiB`, { agent })).response)
  await new Promise((resolve) => setTimeout(resolve, 2_100))
  for (let i = 0; i < 5; i++) kept.push((await get(`${origin.url}/64%20MiB`, { agent })).response)
  expect(agent.stats().bodies).toMatchObject({ open: 7, closed: 0 })
  for (const response of kept) response.destroy()
})

test('without anybody waiting nothing is taken back', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ maxSockets: 2, drain: { stall: 10 } })
  const { response } = await get(`${origin.url}/64%20MiB`, { agent })
  // Younger, and taken: somebody waits.
  await using other = testAgent({ maxSockets: 1, drain: { stall: 10 } })
  await get(`${origin.url}/64%20MiB`, { agent: other })
  await works(other, origin.url)
  expect(other.stats().bodies.closed).toBe(1)
  await works(agent, origin.url)
  expect((await buffer(response)).length).toBe(64 * 1024 * 1024)
})

test('many at once, none read: everyone is answered, on no more sockets than allowed', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ maxSockets: 4, drain: { stall: 20 } })
  let most = 0
  const all = Array.from({ length: 30 }, async (_, i) => {
    const path = i % 2 === 0 ? 'endless%20trickle' : '64%20MiB'
    const got = await get(`${origin.url}/${path}`, { agent })
    // The server hears of a reset a little later than the agent has replaced the socket.
    most = Math.max(most, agent.stats().sockets.open)
    return got
  })
  const kept = await Promise.all(all)
  expect(kept).toHaveLength(30)
  expect(most).toBeLessThanOrEqual(4)
})

test('what is held ahead is charged to the budget of the process, and given back', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ maxSockets: 8, drain: { memory: 2 * 1024 * 1024, stall: 60_000 } })
  const kept: IncomingMessage[] = []
  for (let i = 0; i < 4; i++) kept.push((await get(`${origin.url}/1%20MiB`, { agent })).response)
  await until(() => agent.stats().requests.inFlight === 2, 'two received, two stopped')
  await new Promise((resolve) => setTimeout(resolve, 30))
  // Those that were stopped hold what came in the packets of their heads.
  expect(agent.stats().requests.inFlight).toBe(2)
  expect(agent.stats().bytes.held).toBeGreaterThanOrEqual(2 * 1024 * 1024)
  expect(agent.stats().bytes.held).toBeLessThan(2.5 * 1024 * 1024)
  for (const response of kept.slice(0, 2)) expect((await read(response)).length).toBe(1024 * 1024)
  await until(() => agent.stats().requests.inFlight === 0, 'the others received')
  for (const response of kept.slice(2)) expect((await read(response)).length).toBe(1024 * 1024)
  expect(agent.stats()).toMatchObject({ processHeld: 0, bytes: { held: 0 } })
})
