/** One client per service: a pool of its own, statistics, and events for every body. */
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type BodyEvent, createClient } from '../src/index.ts'

const server = createServer((_, response) => response.end('x'.repeat(5_000_000)))
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

diagnostics.subscribe('drained:body', (message) => {
  const { path, outcome, reason } = message as BodyEvent
  console.log(`${path} ${outcome} (${reason})`)
})
const client = createClient({ name: 'reports', origin: `http://127.0.0.1:${port}`, connections: 4 })
await (await client.fetch('/whole?sig=secret')).text()
await (await client.fetch('/given-up')).body?.cancel()
console.log(`opened ${client.stats().sockets.opened}, reset ${client.stats().sockets.reset}`)
await client.close()
server.closeAllConnections()
server.close()
