/** `drained:wait`: every request tells once how long it waited for a connection, and whether it got one. */
import diagnostics from 'node:diagnostics_channel'
import http from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { WaitEvent } from '../../src/events.ts'
import { DrainedAgent } from '../../src/adapters/node-http.ts'
import { createClient } from '../../src/client.ts'
import { createOrigin } from '../support/origin.ts'
import { refused } from '../support/refused.ts'
import { until } from '../support/until.ts'

let waits: WaitEvent[] = []
const listen = (message: unknown): void => void waits.push(message as WaitEvent)
beforeEach(() => {
  waits = []
  diagnostics.subscribe('drained:wait', listen)
})
afterEach(() => void diagnostics.unsubscribe('drained:wait', listen))
const connections = (): string[] => waits.map(({ connection }) => connection)

const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

test('the first opens a connection, the second waits for it and reuses it', async () => {
  let release = (): void => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  await using origin = await createOrigin(async ({ path }, reply) => {
    if (path === '/held') await held
    await reply.write(answer)
  })
  await using client = createClient({ name: 'c', origin: origin.url, connections: 1 })
  const first = client.fetch('/held')
  const second = client.fetch('/')
  await until(() => client.stats().requests.waiting === 1, 'one waits')
  expect(connections()).toEqual(['opened'])
  await new Promise((resolve) => setTimeout(resolve, 20))
  release()
  await Promise.all([(await first).text(), (await second).text()])
  expect(waits).toMatchObject([
    { client: 'c', origin: origin.url, connection: 'opened' },
    { client: 'c', origin: origin.url, connection: 'reused' },
  ])
  // It began to wait before we looked.
  expect(waits[1]?.waited).toBeGreaterThan(15)
})

test('one that is given up while it waits tells that it had none', async () => {
  await using origin = await createOrigin(() => {})
  const client = createClient({ origin: origin.url, connections: 1 })
  const end = new AbortController()
  const first = client.fetch('/', { signal: end.signal })
  const second = client.fetch('/', { signal: end.signal })
  await until(() => origin.seen.length === 1 && client.stats().requests.waiting === 1, 'one waits')
  end.abort()
  await expect(first).rejects.toThrow()
  await expect(second).rejects.toThrow()
  expect(connections()).toEqual(['opened', 'none'])
  await client.close()
})

test('one that nobody accepts tells that it had none, with fetch and with node:http', async () => {
  const { url } = await refused()
  await using client = createClient({ origin: url })
  await expect(client.fetch('/')).rejects.toThrow()
  const agent = new DrainedAgent()
  await expect(
    new Promise((resolve, reject) => http.get(url, { agent }, resolve).on('error', reject)),
  ).rejects.toThrow()
  await until(() => waits.length === 2, 'both have told')
  expect(connections()).toEqual(['none', 'none'])
  agent.destroy()
})

test('the agents of node:http tell the same', async () => {
  await using origin = await createOrigin((_, reply) => reply.write(answer))
  const agent = new DrainedAgent({ name: 'a' })
  for (let i = 0; i < 3; i++)
    await new Promise((resolve) => http.get(origin.url, { agent }, (m) => m.resume().once('end', resolve)))
  expect(connections()).toEqual(['opened', 'reused', 'reused'])
  agent.destroy()
})
