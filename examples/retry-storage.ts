/** A storage service that is busy twice and then answers: each policy makes its attempts as the service's own client would. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createClient } from '../src/index.ts'
import { azureStorage, gcs, s3 } from '../src/storage.ts'

const slowDown = '<Error><Code>SlowDown</Code></Error>'
let attempts = 0
let connections = 0
const storage = createServer((_, response) => {
  attempts++
  if (attempts % 3 !== 0) response.writeHead(503, { 'x-ms-error-code': 'ServerBusy' })
  response.end(attempts % 3 === 0 ? 'the object' : slowDown)
})
storage.on('connection', () => connections++)
await once(storage.listen(0, '127.0.0.1'), 'listening')
const { port } = storage.address() as AddressInfo

// Waits are a hundredth of the real ones, so that the example is over soon.
const policies = {
  azureStorage: azureStorage({ backoff: { initial: 40 } }),
  s3: s3({ backoff: { initial: 1, throttled: 10 } }),
  gcs: gcs({ backoff: { initial: 10 } }),
}
for (const [name, retry] of Object.entries(policies)) {
  const before = attempts
  const client = createClient({ name, origin: `http://127.0.0.1:${port}`, retry })
  const response = await client.fetch('/box/item')
  const { made } = client.stats().retries
  console.log(`${name}: "${await response.text()}" at attempt ${attempts - before}, ${made} retries`)
  await client.close()
}
console.log(`${connections} connections, one for each client`)
storage.closeAllConnections()
storage.close()
