/** close() and destroy() in every state that a call can be in: who waits is told, and nothing is left. */
import net, { type AddressInfo } from 'node:net'
import { Agent, request } from 'undici'
import { expect, test } from 'vitest'
import { createClient } from '../../src/index.ts'
import { createOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'

/** The error that a caller got, wherever it stands in the chain of causes. */
async function endOf(call: Promise<unknown>): Promise<unknown> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return (error as { cause?: unknown } | undefined)?.cause ?? error
}

test('destroy() ends a call that waits for a connection of a dispatcher of the user, which never sends it', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path !== '/held') await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    else await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n')
  })
  const agent = new Agent({ connections: 1 })
  const held = await request(`${origin.url}/held`, { dispatcher: agent })
  const client = createClient({ dispatcher: agent })
  const gone = new Error('gone')
  const ends = [client.fetch(`${origin.url}/late`), client.fetch(`${origin.url}/late`, { cache: 'no-cache' })]
  const ended = ends.map(endOf)
  await until(() => client.stats().requests.waiting === 2, 'waits')
  await client.destroy(gone)
  for (const each of ended) expect(await each).toBe(gone)
  expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: 0 })
  held.body.on('error', () => {}).destroy()
  expect(await (await request(`${origin.url}/ok`, { dispatcher: agent })).body.text()).toBe('ok')
  expect(origin.seen.map(({ path }) => path)).toEqual(['/held', '/ok'])
  await agent.close()
})

test('destroy() after close() ends calls whose connection is still being made', async () => {
  // Takes connections and says nothing: the handshake never ends.
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => sockets.add(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = createClient({ connections: 1 })
  const gone = new Error('gone')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ended = [endOf(client.fetch(url)), endOf(client.fetch(url))]
  await until(() => sockets.size === 1, 'connected')
  const closed = client.close()
  const since = performance.now()
  await client.destroy(gone)
  for (const each of ended) expect(await each).toBe(gone)
  // undici's own limit for a handshake is 10 s.
  expect(performance.now() - since).toBeLessThan(8_000)
  expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: 0 })
  const stopped = new Promise((resolve) => server.close(resolve))
  for (const socket of sockets) socket.destroy()
  await closed
  await stopped
})
