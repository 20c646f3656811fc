/** Every step of a day with storage comes out as with the SDK's own client: on Azurite, as data. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { azureHttpClient } from '../../../src/adapters/azure.ts'
import { testClient } from '../../support/client.ts'
import { type Azurite, services, startAzurite } from './azurite.ts'
import { steps } from './cycle.ts'
import { outcomeOf } from './outcome.ts'

const client = testClient({ connections: 8 })
const outcomes = { theirs: new Map<string, unknown>(), ours: new Map<string, unknown>() }
let servers: readonly Azurite[] = []

beforeAll(async () => {
  servers = [await startAzurite(), await startAzurite()]
  for (const [which, httpClient] of [
    ['theirs', undefined],
    ['ours', azureHttpClient(client)],
  ] as const) {
    const sdk = services(servers[which === 'ours' ? 1 : 0] as Azurite, httpClient)
    for (const step of steps) outcomes[which].set(step.name, await outcomeOf(() => step.run(sdk)))
  }
}, 120_000)

afterAll(async () => {
  await client[Symbol.asyncDispose]()
  for (const server of servers) await server[Symbol.asyncDispose]()
})

test.each(steps)('$name', ({ name, expected }) => {
  expect(outcomes.theirs.get(name)).toEqual(expected)
  expect(outcomes.ours.get(name)).toEqual(expected)
})

test('all of it took the connections the client was given, and each of them carried many requests', () => {
  const { opened, reset } = client.stats().sockets
  const [, { blob, queue, table }] = servers as [Azurite, Azurite]
  expect(blob.accepted + queue.accepted + table.accepted).toBe(opened)
  expect(opened - reset).toBeLessThanOrEqual(8 + 2)
})
