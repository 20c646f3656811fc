/** Where Node, or somebody else, ends responses in another way than is known, everything is as node:http does it. */
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createOrigin } from '../../support/origin.ts'
import { serveShapes } from '../../support/shapes.ts'
import { until } from '../../support/until.ts'
import { get, read, testAgent, works } from './support/agents.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

test('a response whose listeners were replaced is left to node:http', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent({ maxSockets: 2 })
  const request = http.get(`${origin.url}/chunked`, { agent })
  request.on('socket', (socket: Socket) => {
    for (const listener of socket.listeners('close')) {
      if (listener.name !== 'socketCloseListener') continue
      socket.off('close', listener as () => void)
      // Node does not know it, and would not take it from a socket that is free.
      socket.on('close', function replaced(this: { _httpMessage?: unknown }) {
        if (this._httpMessage != null) listener.call(this)
      })
    }
  })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect(Object.getOwnPropertyNames(response)).not.toContain('push')
  await works(agent, origin.url)
  // Unread, it holds its socket, as it would without us.
  expect(origin.accepted).toBe(2)
  expect((await read(response)).length).toBe(100 * 1024)
  await until(() => agent.stats().sockets.idle === 2, 'both free')
  await works(agent, origin.url)
  expect(origin.accepted).toBe(2)
})

test('as the global agent it serves all who choose none', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  const before = http.globalAgent
  http.globalAgent = agent
  try {
    for (let i = 0; i < 3; i++) await get(`${origin.url}/chunked`, {})
    expect(origin.accepted).toBe(1)
  } finally {
    http.globalAgent = before
  }
})

test('the signal of a response has nothing to do with what its socket does later', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  const { response } = await get(`${origin.url}/chunked`, { agent })
  const { signal } = response as { signal?: AbortSignal }
  await until(() => agent.stats().requests.inFlight === 0, 'received')
  agent.destroy()
  await until(() => agent.stats().sockets.open === 0, 'closed')
  if (signal !== undefined) expect(signal.aborted).toBe(false)
  response.destroy()
  // Node 22 has no such signal.
  if (signal !== undefined) expect(signal.aborted).toBe(true)
})

test('a look at a response shows nothing of ours', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  const node = new http.Agent()
  const [mine, nodes] = await Promise.all([
    get(`${origin.url}/ok`, { agent }),
    get(`${origin.url}/ok`, { agent: node }),
  ])
  expect(Object.keys(mine.response).toSorted()).toEqual(Object.keys(nodes.response).toSorted())
  expect(Object.keys(mine.request).toSorted()).toEqual(Object.keys(nodes.request).toSorted())
  await Promise.all([read(mine.response), read(nodes.response)])
})
