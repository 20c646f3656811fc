/** Who forgets a body, and who keeps the connections others wait for: two reports that name file and line. */
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createClient, type LeakEvent, type StarvationEvent } from '../src/index.ts'

const server = createServer((request, response) => {
  if (request.url === '/report') response.write('begins, and does not end')
  else response.end('all is well')
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

const client = createClient({ origin: `http://127.0.0.1:${port}`, connections: 2, queue: { warn: 200 } })

/** Looks at the status only: the body is forgotten. */
async function getStatus(): Promise<boolean> {
  const response = await client.fetch('/status')
  return response.ok
}

/** Reads later, or never: the connection is kept. */
async function openReport(): Promise<Response> {
  return await client.fetch('/report')
}

const leaked = new Promise<LeakEvent>((resolve) =>
  diagnostics.subscribe('drained:leak', (message) => resolve(message as LeakEvent)),
)
const starved = new Promise<StarvationEvent>((resolve) =>
  diagnostics.subscribe('drained:starvation', (message) => resolve(message as StarvationEvent)),
)

await getStatus()
// A program that runs for long need not ask for it.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const collecting = setInterval(collect, 20)
const { callSite, method, path, foundBy } = await leaked
clearInterval(collecting)
console.log(`leak: ${callSite}, ${method} ${path}, found by the ${foundBy}`)

const reports = [await openReport(), await openReport()]
const waiting = client.fetch('/status').catch(() => {})
const stays = setInterval(() => {}, 1_000) // the report alone keeps no process alive
const { holders } = await starved
clearInterval(stays)
for (const { state, count, callSite: place } of holders)
  console.log(`starvation: ${count} ${state} of ${place}, ${client.stats().requests.waiting} waits`)

for (const report of reports) await report.body?.cancel()
await client.destroy()
await waiting
server.closeAllConnections()
server.close()
