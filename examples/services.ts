/** Services: a client for each, one fetch for all, and a starving one that slows no other. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServices } from '../src/index.ts'

/** `/endless` never ends; everything else is a small answer. */
const servers = [1, 2].map(() =>
  createServer((request, response) => {
    if (request.url === '/endless') response.write('tick')
    else response.end('done')
  }),
)
const [blobUrl = '', queueUrl = ''] = await Promise.all(
  servers.map(async (server) => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }),
)

const storage = createServices({
  blob: { origin: blobUrl, connections: 1, drain: { stall: 60_000 } },
  queue: { origin: queueUrl, connections: 4 },
})

// blob's only connection is held by a body nobody reads, and four calls wait for it.
const held = await storage.fetch(`${blobUrl}/endless`)
const waiting = [1, 2, 3, 4].map(async () => (await storage.blob.fetch('/')).text())
const done = await Promise.all(
  Array.from({ length: 20 }, async () => (await storage.fetch(`${queueUrl}/`)).text()),
)
console.log(`${done.length} calls to queue are done, ${storage.stats().blob.requests.waiting} to blob wait`)
await held.body?.cancel()
console.log(`the body is given up: ${(await Promise.all(waiting)).length} calls to blob are done, too`)

await storage.fetch('https://elsewhere.example/').catch((error: Error) => console.log(error.message))
try {
  createServices({ blob: { origin: blobUrl }, copy: { origin: `${blobUrl}/` } })
} catch (error) {
  console.log((error as Error).message)
}
await storage.close()
for (const server of servers) server.closeAllConnections()
for (const server of servers) server.close()
