/** Agents for node:http and all that take one: axios, got, node-fetch, the AWS SDK. Here node:http itself and axios. */
import { once } from 'node:events'
import http, { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import axios from 'axios'
import { DrainedAgent } from '../src/adapters/node-http.ts'

let connections = 0
const server = createServer((_, response) => response.end('x'.repeat(100_000)))
server.on('connection', () => connections++)
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

const agent = new DrainedAgent({ name: 'mine', maxSockets: 8 })

// With an http.Agent, the pool of 8 hangs after 8 of these.
const kept: IncomingMessage[] = []
for (let i = 0; i < 20; i++) {
  const [response] = (await once(http.get(url, { agent }), 'response')) as [IncomingMessage]
  kept.push(response)
}
for (let i = 0; i < 20; i++) await axios.get(url, { httpAgent: agent, responseType: 'stream' })
console.log(`40 answers, none read, ${connections <= 8 ? 'at most 8' : connections} connections`)

// They have all arrived, and can still be read.
let bytes = 0
for await (const chunk of kept[0] as IncomingMessage) bytes += (chunk as Buffer).length
const { bodies } = agent.stats()
console.log(`${bytes} bytes, read late; ${bodies.read} of ${bodies.open + bodies.read} read`)
agent.destroy()
server.close()
