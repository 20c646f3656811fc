/** A response that is given up is drained or closed behind its user's back, whichever is cheaper, and its socket comes back. */
import diagnostics from 'node:diagnostics_channel'
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import type { BodyEvent, ConnectionEvent } from '../../../src/index.ts'
import { listen } from '../../support/listen.ts'
import { createOrigin } from '../../support/origin.ts'
import { serveShapes } from '../../support/shapes.ts'
import { socketsInTimeWait } from '../../support/sockets.ts'
import { until } from '../../support/until.ts'
import { get, read, testAgent, works } from './support/agents.ts'

const ways: Record<string, (request: ClientRequest, response: IncomingMessage) => unknown> = {
  'response.destroy()': (_, response) => response.destroy(),
  'response.destroy(error)': (_, response) => response.on('error', () => {}).destroy(new Error('mine')),
  'request.destroy()': (request) => request.destroy(),
  'request.destroy(error)': (request) => request.destroy(new Error('mine')),
  'request.abort()': (request) => request.abort(),
  'leaving a for await': async (_, response) => {
    for await (const chunk of response) if (chunk !== undefined) break
  },
}

for (const [way, giveUp] of Object.entries(ways)) {
  test(`${way}: what is left of a short body is drained, and the socket carries the next request`, async () => {
    await using origin = await createOrigin(async (seen, reply) => {
      if (seen.path === '/ok') return reply.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n')
      await reply.write(Buffer.alloc(30_000))
      await until(() => rest, 'rest asked for')
      await reply.write(Buffer.alloc(30_000))
    })
    let rest = false
    await using agent = testAgent({ drain: { maxTime: 10_000 } })
    for (let i = 0; i < 3; i++) {
      rest = false
      const { request, response } = await get(`${origin.url}/`, { agent })
      request.on('error', () => {})
      const closed = new Promise((resolve) => response.on('close', resolve))
      await giveUp(request, response)
      // Nobody waits for the wire.
      await closed
      expect(response.destroyed).toBe(true)
      expect(agent.stats().sockets.draining).toBe(1)
      rest = true
      await works(agent, origin.url)
    }
    expect(origin.accepted).toBe(1)
    expect(agent.stats().bodies).toMatchObject({ read: 3, drained: 3, closed: 0, reasons: { ended: 3 } })
  })

  test(`${way}: what is longer than allowed is closed by a reset`, async () => {
    await using origin = await createOrigin(serveShapes)
    await using agent = testAgent()
    // Its port may have been another's a minute ago.
    const before = socketsInTimeWait(origin.port)
    for (let i = 0; i < 3; i++) {
      const { request, response } = await get(`${origin.url}/64%20MiB`, { agent })
      request.on('error', () => {})
      await giveUp(request, response)
      await works(agent, origin.url)
    }
    expect(origin.accepted).toBe(4)
    await until(() => origin.resets === 3, 'resets seen')
    expect(socketsInTimeWait(origin.port)).toBeLessThanOrEqual(before)
    expect(agent.stats().bodies).toMatchObject({ read: 3, closed: 3, reasons: { bytes: 3 } })
    expect(agent.stats().sockets).toMatchObject({ opened: 4, reset: 3, draining: 0 })
  })

  test(`${way}: what has arrived already is dropped, and the socket is free`, async () => {
    await using origin = await createOrigin(serveShapes)
    await using agent = testAgent()
    for (const shape of ['one byte', '1 MiB', 'chunked', 'content-length 0']) {
      const { request, response } = await get(`${origin.url}/${encodeURIComponent(shape)}`, { agent })
      request.on('error', () => {})
      await until(() => agent.stats().requests.inFlight === 0, 'received')
      await giveUp(request, response)
      await works(agent, origin.url)
    }
    expect(origin.accepted).toBe(1)
    expect(agent.stats().bodies.closed).toBe(0)
    expect(agent.stats().bytes.held).toBe(0)
    await until(() => agent.stats().bodies.open === 0, 'settled')
  })
}

const unworthy = [
  ['event stream', 'event-stream'],
  ['Connection: close', 'unreusable'],
  ['endless and fast', 'bytes'],
  ['stalled in the body', 'time'],
  ['truncated', 'unreusable'],
] as const
for (const [shape, reason] of unworthy) {
  test(`a given-up body is not drained for ever: ${shape}, ${reason}`, async () => {
    await using origin = await createOrigin(async (seen, reply) => {
      if (seen.path.includes('close') || seen.path.includes('truncated')) {
        const more = seen.path.includes('close') ? 'connection: close\r\n' : ''
        const version = more === '' ? 'HTTP/1.0' : 'HTTP/1.1'
        return reply.write(`${version} 200 OK\r\n${more}content-length: 20\r\n\r\nabc`)
      }
      return serveShapes(seen, reply)
    })
    await using agent = testAgent({ drain: { maxTime: 50 } })
    const { response } = await get(`${origin.url}/${encodeURIComponent(shape)}`, { agent })
    response.destroy()
    await works(agent, origin.url)
    await until(() => agent.stats().bodies.closed === 1, 'closed')
    expect(agent.stats().bodies.reasons).toEqual({ complete: 1, [reason]: 1 })
    expect(origin.accepted).toBe(2)
  })
}

test('a drain that fails harms nobody', async () => {
  for (const shape of ['malformed chunk', 'reset']) {
    await using origin = await createOrigin(async (seen, reply) => {
      if (seen.path === '/ok') return serveShapes(seen, reply)
      await reply.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n')
      await until(() => gone, 'given up')
      if (shape === 'reset') reply.reset()
      else await reply.write('zz\r\n')
    })
    let gone = false
    await using agent = testAgent({ drain: { maxTime: 10_000 } })
    const { request, response } = await get(`${origin.url}/`, { agent })
    const errors: string[] = []
    request.on('error', ({ message }) => errors.push(message))
    response.destroy()
    expect(agent.stats().sockets.draining).toBe(1)
    gone = true
    await until(() => agent.stats().bodies.closed === 1, 'failed')
    expect(agent.stats().bodies.reasons).toEqual({ failed: 1 })
    expect(errors).toEqual([])
    await works(agent, origin.url)
  }
})

test('a request whose body is still being sent is closed when its response is given up', async () => {
  const server = http.createServer((_, response) => response.writeHead(413).end('x'.repeat(1000)))
  await using listening = await listen(server)
  const { port } = listening
  await using agent = testAgent()
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent })
  request.on('error', () => {})
  request.write('part of it')
  const response = await new Promise<IncomingMessage>((resolve) => request.on('response', resolve))
  // It has arrived, but its socket still belongs to the request.
  await until(() => response.complete, 'arrived')
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  expect(agent.stats().sockets.idle).toBe(0)
  response.destroy()
  await until(() => agent.stats().sockets.open === 0, 'closed')
  expect(agent.stats().bodies.reasons).toEqual({ unreusable: 1 })
})

test('a response to a request that is still being sent is freed once that is done', async () => {
  const server = http.createServer((incoming, response) => {
    if (incoming.method === 'POST') response.end('x'.repeat(1000))
    else response.end('ok')
  })
  await using listening = await listen(server)
  const { port } = listening
  await using agent = testAgent()
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent })
  request.write('part of it')
  const response = await new Promise<IncomingMessage>((resolve) => request.on('response', resolve))
  await until(() => response.complete, 'arrived')
  request.end('the rest')
  await works(agent, `http://127.0.0.1:${port}`)
  expect(listening.accepted).toBe(1)
  expect((await read(response)).length).toBe(1000)
})

test('a response nobody listens for is given up within the same limits', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ drain: { maxTime: 50 } })
  for (const shape of ['one byte', '1 MiB', '64 MiB', 'endless and fast', 'stalled in the body']) {
    const request = http.request(`${origin.url}/${encodeURIComponent(shape)}`, { agent })
    const closed = new Promise((resolve) => request.on('close', resolve))
    request.on('error', () => {}).end()
    await closed
    await works(agent, origin.url)
  }
  expect(agent.stats().bodies).toMatchObject({ open: 0, read: 5, drained: 2, closed: 3 })
})

test('every body and every connection is told of, with the names and shapes of a client', async () => {
  const bodies: BodyEvent[] = []
  const connections: ConnectionEvent[] = []
  const onBody = (event: unknown): unknown => bodies.push(event as BodyEvent)
  const onConnection = (event: unknown): unknown => connections.push(event as ConnectionEvent)
  diagnostics.subscribe('drained:body', onBody)
  diagnostics.subscribe('drained:connection', onConnection)
  await using origin = await createOrigin(serveShapes)
  {
    await using agent = testAgent({ name: 'mine' })
    await works(agent, origin.url)
    const { response } = await get(`${origin.url}/64%20MiB?sig=secret`, { agent })
    response.destroy()
    await until(() => agent.stats().sockets.open === 0, 'closed')
  }
  diagnostics.unsubscribe('drained:body', onBody)
  diagnostics.unsubscribe('drained:connection', onConnection)
  expect(bodies).toMatchObject([
    { client: 'mine', origin: origin.url, method: 'GET', path: '/ok', outcome: 'read', read: 2, status: 200 },
    { path: '/64%20MiB?sig=***', outcome: 'closed', reason: 'bytes', endedBy: 'reader', read: 0 },
  ])
  expect(connections).toMatchObject([
    { client: 'mine', origin: origin.url, state: 'opened', requests: 1, reset: false },
    { state: 'closed', requests: 2, reset: true },
  ])
})
