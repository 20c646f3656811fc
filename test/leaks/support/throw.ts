/** Two tests of node:test: the first reads, the second forgets. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createClient } from '../../../src/index.ts'

const server = createServer((_, response) => response.end('something'))
let origin = ''
before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(() => void server.close())

void test('reads', async () => {
  const client = createClient({ origin, leaks: 'throw' })
  await (await client.fetch('/')).text()
  await client.close()
})
void test('forgets', async () => {
  const client = createClient({ origin, leaks: 'throw' })
  await (async () => void (await client.fetch('/')))()
  await client.close()
})
