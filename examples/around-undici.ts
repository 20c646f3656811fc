/** Around calls you already have: the interceptor under undici.request and under Node's own fetch, and discard(). */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent, request, setGlobalDispatcher } from 'undici'
import { discard, drain } from '../src/index.ts'

let connections = 0
const server = createServer((_, response) => response.end('x'.repeat(100_000)))
server.on('connection', () => connections++)
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

const agent = new Agent({ connections: 8 })
const dispatcher = agent.compose(drain())
const { body } = await request(url, { dispatcher })
const { outcome, bytes } = await discard(body)
console.log(`discard: ${outcome}, ${bytes} bytes`)

setGlobalDispatcher(dispatcher)
// Without drain() the pool of 8 hangs after 8 of these.
const kept: Response[] = []
for (let i = 0; i < 20; i++) kept.push(await globalThis.fetch(url))
console.log(
  `${kept.length} answers of Node's fetch, none read, ${connections <= 8 ? 'at most 8' : connections} connections`,
)
await agent.destroy()
server.close()
