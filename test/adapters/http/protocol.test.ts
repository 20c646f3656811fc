/** Everything else an http.Agent does, it still does. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { finished } from 'node:stream'
import { expect, test } from 'vitest'
import { createOrigin } from '../../support/origin.ts'
import { createGate } from '../../support/parts.ts'
import { pattern, serveShapes } from '../../support/shapes.ts'
import { until } from '../../support/until.ts'
import { get, read, testAgent, works } from './support/agents.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

interface Server extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly server: http.Server
  connections: number
}

async function serve(
  answer: (incoming: IncomingMessage, response: ServerResponse) => unknown,
): Promise<Server> {
  const server = http.createServer((incoming, response) => {
    if (incoming.url === '/ok') response.end('ok')
    else answer(incoming, response)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const all: Server = {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    connections: 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
  server.on('connection', () => all.connections++)
  return all
}

test('upgrade: the socket is the user’s, and the agent goes on', async () => {
  await using origin = await serve((_, response) => response.end('no'))
  origin.server.on('upgrade', (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n')
    socket.pipe(socket)
  })
  await using agent = testAgent()
  const request = http.get(origin.url, { agent, headers: { connection: 'upgrade', upgrade: 'echo' } })
  const [response, socket] = (await once(request, 'upgrade')) as [IncomingMessage, Socket]
  expect(response.statusCode).toBe(101)
  socket.write('hello')
  expect(String((await once(socket, 'data'))[0])).toBe('hello')
  await works(agent, origin.url)
  socket.write('again')
  expect(String((await once(socket, 'data'))[0])).toBe('again')
  expect(agent.stats().sockets).toMatchObject({ open: 1 })
  expect(agent.stats().requests).toEqual({ waiting: 0, inFlight: 0, resent: 0 })
  socket.destroy()
})

test('an upgrade nobody asked for ends the request as ever', async () => {
  await using origin = await serve((_, response) => response.end('no'))
  origin.server.on('upgrade', (_, socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n'),
  )
  await using agent = testAgent()
  const request = http.get(origin.url, { agent, headers: { connection: 'upgrade', upgrade: 'echo' } })
  await once(request, 'close')
  await works(agent, origin.url)
})

test('CONNECT: a tunnel', async () => {
  await using origin = await serve((_, response) => response.end('no'))
  origin.server.on('connect', (_, socket) => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
    socket.pipe(socket)
  })
  await using agent = testAgent()
  const request = http.request(origin.url, { agent, method: 'CONNECT', path: 'elsewhere:443' }).end()
  const [, socket] = (await once(request, 'connect')) as [IncomingMessage, Socket]
  socket.write('hello')
  expect(String((await once(socket, 'data'))[0])).toBe('hello')
  await works(agent, origin.url)
  socket.destroy()
})

test('100-continue, early hints and other information come through', async () => {
  await using origin = await serve(async (incoming, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
    for await (const chunk of incoming) void chunk
    response.end('done')
  })
  await using agent = testAgent()
  for (let i = 0; i < 2; i++) {
    const seen: unknown[] = []
    const request = http.request(origin.url, { agent, method: 'POST', headers: { expect: '100-continue' } })
    request.on('information', ({ statusCode }: { statusCode: number }) => seen.push(statusCode))
    request.on('continue', () => {
      seen.push('continue')
      request.end('body')
    })
    request.flushHeaders()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect(String(await read(response))).toBe('done')
    expect(seen).toEqual(['continue', 100, 102, 103])
  }
  expect(origin.connections).toBe(1)
})

test('trailers come with the end, though the socket is free before', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  const { response } = await get(`${origin.url}/trailers`, { agent })
  await works(agent, origin.url)
  expect((await read(response)).length).toBe(1_000)
  expect(response.trailers).toEqual({ 'x-sum': '1' })
  expect(response.rawTrailers).toEqual(['x-sum', '1'])
})

for (const keepAlive of [true, false]) {
  test(`connection: close, keepAlive ${keepAlive}: one socket each, none held`, async () => {
    await using origin = await serve((_, response) => response.end('x'.repeat(1000)))
    await using agent = testAgent({ keepAlive, maxSockets: 1 })
    const kept = []
    for (let i = 0; i < 3; i++) {
      const { response } = await get(origin.url, { agent, headers: { connection: 'close' } })
      kept.push(response)
    }
    expect(origin.connections).toBe(3)
    for (const response of kept) expect((await read(response)).length).toBe(1000)
    await until(() => agent.stats().sockets.open === 0, 'closed')
  })
}

test('keepAlive false with no limit: closed after each response, unread or not', async () => {
  await using origin = await serve((_, response) => response.end('x'.repeat(1000)))
  await using agent = testAgent({ keepAlive: false, maxSockets: Infinity })
  const { response } = await get(origin.url, { agent })
  await until(() => agent.stats().sockets.open === 0, 'closed')
  expect((await read(response)).length).toBe(1000)
  await works(agent, origin.url)
  expect(origin.connections).toBe(2)
})

test('destroy() of the agent ends drains and what is being received, not what has been', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ maxSockets: 3, drain: { maxTime: 60_000 } })
  const received = await get(`${origin.url}/chunked`, { agent })
  await until(() => agent.stats().requests.inFlight === 0, 'received')
  const open = await get(`${origin.url}/64%20MiB`, { agent })
  const drained = await get(`${origin.url}/stalled%20in%20the%20body`, { agent })
  drained.response.destroy()
  expect(agent.stats().sockets).toMatchObject({ draining: 1, open: 2 })
  const failing = read(open.response)
  agent.destroy()
  await expect(failing).rejects.toThrow('aborted')
  expect(Buffer.compare(await read(received.response), pattern(100 * 1024))).toBe(0)
  await until(() => agent.stats().sockets.open === 0, 'closed')
  expect(agent.stats().bodies.reasons).toMatchObject({ closing: 1, failed: 1, complete: 1 })
  // As Node's, it can be used again.
  await works(agent, origin.url)
})

test('destroy() of a request before its response: an error, and nothing left behind', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') await serveShapes(seen, reply)
  })
  await using agent = testAgent()
  const sent = http.get(origin.url, { agent })
  const failed = once(sent, 'response')
  await until(() => origin.seen.length === 1, 'sent')
  const queued = http.get(origin.url, { agent })
  const alsoFailed = once(queued, 'response')
  expect(agent.stats().requests).toMatchObject({ waiting: 1, inFlight: 1 })
  queued.destroy(new Error('queued'))
  sent.destroy(new Error('sent'))
  await expect(failed).rejects.toThrow('sent')
  await expect(alsoFailed).rejects.toThrow('queued')
  await works(agent, origin.url)
  const early = http.get(origin.url, { agent })
  early.destroy()
  await expect(once(early, 'response')).rejects.toThrow('socket hang up')
  await works(agent, origin.url)
})

test('an AbortSignal ends a request at any time', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  for (const shape of ['64 MiB', '1 MiB', 'one byte']) {
    const controller = new AbortController()
    const { request, response } = await get(`${origin.url}/${encodeURIComponent(shape)}`, {
      agent,
      signal: controller.signal,
    })
    const closed = new Promise((resolve) => request.on('close', resolve))
    response.on('error', () => {})
    controller.abort()
    await closed
    await works(agent, origin.url)
  }
  await until(() => agent.stats().bodies.open === 0, 'settled')
})

test('a timeout of a request is told as ever', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  const request = http.get(`${origin.url}/stalled%20in%20the%20body`, { agent, timeout: 50 })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const reading = read(response)
  reading.catch(() => {})
  await once(request, 'timeout')
  request.destroy(new Error('too slow'))
  const [error] = (await once(request, 'error')) as [Error]
  expect(error.message).toBe('too slow')
  await expect(reading).rejects.toThrow()
  await works(agent, origin.url)
})

test('a timeout of an earlier request does not strike a later one', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/slow') await new Promise((resolve) => setTimeout(resolve, 150))
    await serveShapes(seen, reply)
  })
  await using agent = testAgent()
  const { request } = await get(`${origin.url}/one%20byte`, { agent, timeout: 50 })
  let isTimedOut = false
  request.on('timeout', () => (isTimedOut = true))
  const { response } = await get(`${origin.url}/slow`, { agent })
  expect(String(await read(response))).toBe('ok')
  expect(isTimedOut).toBe(false)
  expect(origin.accepted).toBe(1)
})

test('maxTotalSockets and maxSockets bound what is open', async () => {
  await using one = await createOrigin(serveShapes)
  await using two = await createOrigin(serveShapes)
  await using agent = testAgent({ maxSockets: 2, maxTotalSockets: 3 })
  let most = 0
  const all = Array.from({ length: 20 }, async (_, i) => {
    const { url } = i % 2 === 0 ? one : two
    const { response } = await get(`${url}/chunked`, { agent, headers: { connection: 'close' } })
    most = Math.max(most, agent.stats().sockets.open)
    return response
  })
  await Promise.all(all)
  expect(most).toBeLessThanOrEqual(3)
})

for (const [scheduling, expected] of [
  ['lifo', 1],
  ['fifo', 0],
] as const) {
  test(`scheduling ${scheduling}: the connection node:http would take`, async () => {
    const gate = createGate()
    await using origin = await createOrigin(async (seen, reply) => {
      if (seen.path.endsWith('?second')) await gate.wait()
      return serveShapes(seen, reply)
    })
    await using agent = testAgent({ maxSockets: 2, scheduling })
    const asked = [
      get(`${origin.url}/one%20byte`, { agent }),
      get(`${origin.url}/one%20byte?second`, { agent }),
    ] as const
    const first = await asked[0]
    await read(first.response)
    await until(() => agent.stats().sockets.idle === 1, 'first free')
    await gate.open()
    const second = await asked[1]
    await read(second.response)
    const ports = [first, second].map(({ request }) => request.socket?.localPort)
    await until(() => agent.stats().sockets.idle === 2, 'both free')
    const { request, response } = await get(`${origin.url}/one%20byte`, { agent })
    expect(ports.indexOf(request.socket?.localPort)).toBe(expected)
    expect(request.reusedSocket).toBe(true)
    await read(response)
  })
}

test('what a response says of its socket can be asked after the socket has gone on', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  const { request, response } = await get(`${origin.url}/one%20byte`, { agent })
  const { remoteAddress, remotePort, localPort } = response.socket
  await works(agent, origin.url)
  expect(response.socket).toMatchObject({ remoteAddress, remotePort, localPort })
  expect(request.socket).toMatchObject({ remoteAddress, remotePort, localPort })
  // Nothing done to it reaches who uses the socket now.
  const waits = works(agent, origin.url)
  response.setTimeout(1)
  response.socket.destroy()
  await waits
  expect(origin.accepted).toBe(1)
})

test('finished() tells of the end of both halves', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  const { request, response } = await get(`${origin.url}/chunked`, { agent })
  const ends: string[] = []
  finished(response, (error) => ends.push(`response ${error?.message ?? 'ended'}`))
  finished(request, (error) => ends.push(`request ${error?.message ?? 'ended'}`))
  await works(agent, origin.url)
  await read(response)
  await until(() => ends.length === 2, 'both')
  expect(ends.toSorted()).toEqual(['request ended', 'response ended'])
  const given = await get(`${origin.url}/64%20MiB`, { agent })
  finished(given.response, (error) => ends.push(`response ${error?.message}`))
  given.response.destroy()
  await until(() => ends.length === 3, 'given up')
  expect(ends[2]).toBe('response Premature close')
})

test('a listener on the socket hears nothing of the requests that follow', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  let bytes = 0
  const request = http.get(`${origin.url}/one%20byte`, { agent })
  request.on('socket', (socket) => socket.on('data', (chunk: Buffer) => (bytes += chunk.length)))
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  await works(agent, origin.url)
  const mine = bytes
  for (let i = 0; i < 20; i++) await works(agent, origin.url)
  expect(bytes - mine).toBe(0)
  await read(response)
})

test('the context of a request is kept, even when it waits for a socket', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ maxSockets: 2 })
  const storage = new AsyncLocalStorage<number>()
  const all = Array.from({ length: 20 }, (_, i) =>
    storage.run(
      i,
      () =>
        new Promise((resolve) => {
          http.get(`${origin.url}/chunked`, { agent }, () => resolve(storage.getStore()))
        }),
    ),
  )
  expect(await Promise.all(all)).toEqual(Array.from({ length: 20 }, (_, i) => i))
})

test('requests without an agent, and with Node’s, are left alone', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  await works(agent, origin.url)
  for (const other of [false, undefined, new http.Agent()] as const) {
    const request = http.get(`${origin.url}/ok`, { agent: other })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect(Object.getOwnPropertyNames(response)).not.toContain('push')
    expect(String(await read(response))).toBe('ok')
  }
})

test('an idle connection is kept as long as its server promises, or the agent likes', async () => {
  const hints = [
    '',
    'keep-alive: timeout=5\r\n',
    'keep-alive: timeout=600\r\n',
    'keep-alive: max=3, timeout=5\r\n',
  ]
  const idles: Record<string, number[]> = {}
  for (const [name, options] of Object.entries({
    ours: {},
    theirs: { timeout: 10_000 },
    none: { timeout: 0 },
  })) {
    for (const hint of hints) {
      await using origin = await createOrigin((_, reply) =>
        reply.write(`HTTP/1.1 200 OK\r\n${hint}content-length: 2\r\n\r\nok`),
      )
      await using agent = testAgent(options)
      await works(agent, origin.url)
      await until(() => agent.stats().sockets.idle === 1, 'idle')
      const [socket] = Object.values(agent.freeSockets).flat()
      ;(idles[name] ??= []).push(socket?.timeout ?? 0)
    }
  }
  expect(idles).toEqual({
    ours: [30_000, 4_000, 30_000, 4_000],
    theirs: [10_000, 4_000, 10_000, 4_000],
    none: [0, 4_000, 599_000, 4_000],
  })
})

test('an idle connection that has outlived its time is closed', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ timeout: 40 })
  await works(agent, origin.url)
  await until(() => agent.stats().sockets.open === 0, 'closed')
  await until(() => origin.open === 0, 'closed for the server')
})
