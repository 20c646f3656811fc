/** A REST helper written on some other fetch, put on the contract by the one line that changes. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { wrap } from '../src/index.ts'

/** As many projects have it: it throws for errors, and never looks at their bodies. */
function createRest(base: string, fetch: typeof globalThis.fetch) {
  return async function get(path: string): Promise<unknown> {
    const response = await fetch(base + path)
    if (!response.ok) throw new Error(`status ${response.status}`)
    return response.json()
  }
}

let connections = 0
const server = createServer((request, response) => {
  if (request.url === '/item') response.end('{"name":"item"}')
  else response.writeHead(404).end('x'.repeat(300_000))
})
server.on('connection', () => connections++)
await once(server.listen(0, '127.0.0.1'), 'listening')
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

async function run(name: string, fetch: typeof globalThis.fetch): Promise<void> {
  connections = 0
  const get = createRest(base, fetch)
  let missing = 0
  for (let i = 0; i < 30; i++) await get('/missing').catch(() => missing++)
  const item = await get('/item')
  console.log(
    `${name}: ${missing} missing, ${JSON.stringify(item)}, ${connections > 15 ? 'more' : 'fewer'} than 15 connections`,
  )
}

// Late-bound, so that a mock installed later is seen; `wrap(nodeFetch)` works as well.
await run(
  'wrapped',
  wrap((...args) => globalThis.fetch(...args)),
)
await run('as it was', globalThis.fetch)
server.closeAllConnections()
server.close()
