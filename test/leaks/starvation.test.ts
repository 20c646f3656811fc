/** A request that waits long for a connection: who keeps them is told. */
import { expect, test } from 'vitest'
import { testClient } from '../support/client.ts'
import { until } from '../support/until.ts'
import { heard, serve } from './support/serve.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

test('who keeps the pool is told by call site and state', async () => {
  await using origin = await serve()
  await using client = testClient({ leaks: 'all', connections: 4, queue: { warn: 50 } })
  using told = heard('drained:starvation')
  const forgetful = (): Promise<Response> => client.fetch(`${origin.url}/stalls?sig=secret`)
  const kept = [await forgetful(), await forgetful()]
  const reading = (await client.fetch(`${origin.url}/stalls`)).text()
  const silent = client.fetch(`${origin.url}/silent`)
  // It may be sent a little later, when no other body is about to end.
  await until(() => origin.seen.some(({ path }) => path === '/silent'), 'sent')
  const waiting = client.fetch(`${origin.url}/40`)
  const all = Promise.allSettled([reading, silent, waiting])
  await until(() => told.length > 0, 'told')
  const [first] = told
  expect(first).toMatchObject({ client: 'default', origin: origin.url, limit: 4, open: 4, waiting: 1 })
  expect(first?.waited).toBeGreaterThanOrEqual(50)
  expect(first?.holders).toHaveLength(3)
  expect(first?.holders[0]).toMatchObject({
    state: 'untouched',
    count: 2,
    path: '/stalls?sig=***',
    received: 20,
    site: { function: 'forgetful', file: import.meta.filename },
  })
  expect(first?.holders.map(({ state }) => state)).toEqual(
    expect.arrayContaining(['untouched', 'reading', 'unanswered']),
  )
  for (const { body } of kept) await body?.cancel()
  await client.destroy()
  await all
})

test('without a trace the place is not known, and told apart by path', async () => {
  await using origin = await serve()
  await using client = testClient({ leaks: 'off', connections: 2, queue: { warn: 30 } })
  using told = heard('drained:starvation')
  const kept = [await client.fetch(`${origin.url}/stalls/1`), await client.fetch(`${origin.url}/stalls/2`)]
  const waiting = client.fetch(`${origin.url}/40`)
  await until(() => told.length > 0, 'told')
  expect(told[0]?.holders).toMatchObject([{ state: 'untouched', count: 2, callSite: undefined }])
  for (const { body } of kept) await body?.cancel()
  await (await waiting).text()
})

test.each([0, Infinity])('queue.warn %d: nothing is told', async (warn) => {
  await using origin = await serve()
  await using client = testClient({ queue: { warn }, drain: { stall: 100 } })
  using told = heard('drained:starvation')
  const kept = await client.fetch(`${origin.url}/stalls`)
  await (await client.fetch(`${origin.url}/40`)).text()
  await expect(kept.text()).rejects.toMatchObject({ cause: { name: 'BodyReclaimedError' } })
  expect(told).toHaveLength(0)
})

test('a busy pool in which everybody gets his turn is not told of', async () => {
  await using origin = await serve()
  await using client = testClient({ connections: 2, queue: { warn: 5_000 } })
  using told = heard('drained:starvation')
  const calls = Array.from({ length: 200 }, async () => (await client.fetch(`${origin.url}/4000`)).text())
  await Promise.all(calls)
  expect(told).toHaveLength(0)
})

test('a dispatcher of somebody else’s: told without a limit', async () => {
  const { Agent } = await import('undici')
  await using origin = await serve()
  const dispatcher = new Agent({ connections: 1 })
  await using client = testClient({ dispatcher, connections: undefined as never, queue: { warn: 30 } })
  using told = heard('drained:starvation')
  const kept = await client.fetch(`${origin.url}/stalls`)
  const waiting = client.fetch(`${origin.url}/40`)
  await until(() => told.length > 0, 'told')
  expect(told[0]).toMatchObject({ limit: undefined, waiting: 1, holders: [{ count: 1 }] })
  await kept.body?.cancel()
  await (await waiting).text()
  await dispatcher.destroy()
})
