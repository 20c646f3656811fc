/** The same over TLS. */
import { once } from 'node:events'
import https from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { DrainedHttpsAgent } from '../../../src/adapters/node-http.ts'
import { tls } from '../../support/h2.ts'
import { pattern } from '../../support/shapes.ts'
import { until } from '../../support/until.ts'
import { read } from './support/agents.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

const body = pattern(300_000)

async function serve(): Promise<{ port: number; connections: () => number; close: () => void }> {
  let connections = 0
  const server = https.createServer(tls, (incoming, response) => {
    if (incoming.url === '/endless') {
      response.write('x')
      return
    }
    if (incoming.url === '/large') {
      response.writeHead(200, { 'content-length': 64 * 1024 * 1024 }).write(body)
      return
    }
    response.end(body)
  })
  server.on('secureConnection', () => connections++)
  server.on('tlsClientError', () => {})
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    connections: () => connections,
    close: () => (server.closeAllConnections(), server.close()),
  }
}

function get(agent: https.Agent, port: number, path = '/'): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    https
      .get({ host: '127.0.0.1', port, path, agent, ca: tls.cert, servername: 'localhost' }, resolve)
      .on('error', reject)
  })
}

test('unread, read late, given up and taken back: the TLS connection comes back', async () => {
  const server = await serve()
  const agent = new DrainedHttpsAgent({ maxSockets: 1, drain: { stall: 30 } })
  const kept = []
  for (let i = 0; i < 5; i++) kept.push(await get(agent, server.port))
  await until(() => agent.stats().requests.inFlight === 0, 'received')
  const socket = kept[0]?.socket as TLSSocket
  // It has served others since, and can still be asked.
  expect(socket.encrypted).toBe(true)
  expect(socket.getPeerCertificate().subject.CN).toBe('localhost')
  for (const response of kept) expect(Buffer.compare(await read(response), body)).toBe(0)
  ;(await get(agent, server.port)).destroy()
  expect(Buffer.compare(await read(await get(agent, server.port)), body)).toBe(0)
  expect(server.connections()).toBe(1)

  ;(await get(agent, server.port, '/large')).destroy()
  expect(Buffer.compare(await read(await get(agent, server.port)), body)).toBe(0)
  expect(server.connections()).toBe(2)
  const untouched = await get(agent, server.port, '/large')
  expect(Buffer.compare(await read(await get(agent, server.port)), body)).toBe(0)
  await expect(read(untouched)).rejects.toMatchObject({ code: 'ERR_DRAINED_BODY_RECLAIMED' })
  const { sockets, bodies, origins } = agent.stats()
  expect(sockets).toMatchObject({ opened: 3, reset: 2 })
  expect(bodies.reasons).toMatchObject({ bytes: 2 })
  const [name, { connectMs }] = Object.entries(origins)[0] as [string, { connectMs: number }]
  expect(name).toBe(`https://127.0.0.1:${server.port}`)
  expect(connectMs).toBeGreaterThan(0)
  agent.destroy()
  await until(() => agent.stats().sockets.open === 0, 'closed')
  server.close()
})

test('TLS options of the agent are used, and pools are apart by them', async () => {
  const server = await serve()
  const agent = new DrainedHttpsAgent({ ca: tls.cert, servername: 'localhost', maxSockets: 2 })
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    https.get({ host: '127.0.0.1', port: server.port, agent }, resolve).on('error', reject),
  )
  expect(Buffer.compare(await read(response), body)).toBe(0)
  const trusting = new DrainedHttpsAgent()
  const refused = https.get({ host: '127.0.0.1', port: server.port, agent: trusting })
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException]
  expect(error.code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
  expect(trusting.stats().sockets).toMatchObject({ open: 0, opened: 0 })
  agent.destroy()
  trusting.destroy()
  server.close()
})
