/** Hedged requests: every tenth answer takes three seconds, and nobody waits for it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createClient } from '../src/index.ts'

let requests = 0
const server = createServer((_, response) => {
  if (++requests % 10 === 0) setTimeout(() => response.end('late'), 3_000).unref()
  else response.end('in time')
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

const client = createClient({ origin: `http://127.0.0.1:${port}`, hedge: { after: 300 } })
let slowest = 0
for (let call = 0; call < 30; call++) {
  const started = performance.now()
  await (await client.fetch('/items')).text()
  slowest = Math.max(slowest, performance.now() - started)
}
const { retries, requests: now } = client.stats()
console.log(`30 calls, ${requests} requests, hedged ${retries.hedged}, in flight ${now.inFlight}`)
console.log(`the slowest took ${slowest < 3_000 ? 'less than three seconds' : `${slowest} ms`}`)
await client.destroy()
server.closeAllConnections()
server.close()
