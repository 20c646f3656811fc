/** A test with msw, which sees only the global fetch: the client makes its calls through that one, bound late. */
import { http, HttpResponse } from 'msw'
import { setupServer } from 'msw/node'
import { createClient } from '../../../src/index.ts'
import { expectNoLeaks } from '../../../src/testing.ts'

const server = setupServer(
  http.get('http://api.example/items', () => HttpResponse.json({ items: [1, 2, 3] })),
)
server.listen()
const client = createClient({
  origin: 'http://api.example',
  fetch: (...args: Parameters<typeof fetch>) => globalThis.fetch(...args),
})
const read = await expectNoLeaks(async () => (await client.fetch('/items')).text())
console.log(`read: ${read}`)
const forget = async (): Promise<void> => void (await client.fetch('/items'))
await expectNoLeaks(forget).catch((error: Error) => console.log(`forgotten: ${error.message}`))
await client.close()
server.close()
