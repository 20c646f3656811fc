/** Retries: a service that is busy now and then, large error bodies, one connection; a stream that can be sent again; what an outage sees. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { createClient, type RetryNotice } from '../src/index.ts'

let connections = 0
let requests = 0
let isOut = false
const server = createServer((request, response) => {
  requests++
  request.resume().on('end', () => {
    // Two times out of three, and in an outage always.
    if (isOut || requests % 3 !== 0)
      response.writeHead(503, { 'retry-after': '0' }).end('x'.repeat(256 * 1024))
    else response.end('done')
  })
})
server.on('connection', () => connections++)
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

const client = createClient({
  origin: `http://127.0.0.1:${port}`,
  timeout: { attempt: 2_000, total: 10_000 },
  retry: { backoff: { initial: 20 } },
})
const onRetry = ({ attempt, response }: RetryNotice): void =>
  console.log(`attempt ${attempt} was answered with ${response?.status}`)
const got = await client.fetch('/items', { retry: { onRetry } })
console.log(`GET: ${await got.text()}`)
const put = await client.fetch('/items', {
  method: 'PUT',
  body: () => Readable.toWeb(Readable.from(['a', 'b'])),
})
console.log(`PUT: ${await put.text()}, ${requests} requests, ${connections} connection`)

isOut = true
requests = 0
const calls = Array.from({ length: 100 }, () => client.fetch('/items'))
const statuses = new Set((await Promise.all(calls)).map(({ status }) => status))
console.log(
  `outage: 100 calls, all ${[...statuses].join()}, ${requests <= 132 ? 'at most 132' : requests} requests`,
)
await client.destroy()
server.close()
