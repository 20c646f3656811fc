/** A test with nock: the client has connections of its own, opened after nock was there. */
import nock from 'nock'
import { createClient } from '../../../src/index.ts'
import { expectNoLeaks } from '../../../src/testing.ts'

nock('http://api.example')
  .persist()
  .get('/items')
  .reply(200, { items: [1, 2, 3] })
const client = createClient({ origin: 'http://api.example' })
const read = await expectNoLeaks(async () => (await client.fetch('/items')).text())
console.log(`read: ${read}`)
const forget = async (): Promise<void> => void (await client.fetch('/items'))
await expectNoLeaks(forget).catch((error: Error) => console.log(`forgotten: ${error.message}`))
await client.close()
nock.restore()
