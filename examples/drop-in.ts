/** Drop-in: 50 answers nobody reads, on a connection or two. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { fetch } from '../src/index.ts'

let connections = 0
const server = createServer((_, response) => response.writeHead(404).end('x'.repeat(200_000)))
server.on('connection', () => connections++)
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

const kept: Response[] = []
for (let i = 0; i < 50; i++) kept.push(await fetch(`http://127.0.0.1:${port}/`))
console.log(`${kept.length} answers, none read, ${connections <= 2 ? 'at most 2' : connections} connections`)
server.closeAllConnections()
server.close()
