/** Prometheus: a page of /metrics straight from the statistics, without OpenTelemetry. */
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { contentType, prometheusText } from '../src/adapters/prometheus.ts'
import { createClient } from '../src/index.ts'

async function listen(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const origin = createServer((_, response) => response.end('x'.repeat(1_000)))
const client = createClient({ name: 'items', origin: await listen(origin), retry: 3 })
const metrics = createServer((_, response) => {
  response.setHeader('content-type', contentType).end(prometheusText(client))
})

await (await client.fetch('/1?token=secret')).text()
await (await client.fetch('/2')).body?.cancel()
const page = await (await fetch(`${await listen(metrics)}/metrics`)).text()
console.log(page)
await client.close()
for (const server of [origin, metrics]) server.closeAllConnections()
for (const server of [origin, metrics]) server.close()
