/** When requests wait: who is taken back, who never is, and what stays flat. */
import { request } from 'undici'
import { expect, test } from 'vitest'
import { BodyReclaimedError } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'
import { untilCollected } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const drain = { stall: 100, maxTime: 100 }

for (const shape of [
  '64 MiB',
  'endless and fast',
  'endless trickle',
  'stalled after the head',
  'event stream',
]) {
  test(`a pool of 4 full of untouched bodies (${shape}) serves the next request; the oldest is given up (T36)`, async () => {
    await using origin = await createOrigin(serveShapes)
    await using client = testClient({ connections: 4, drain })
    const kept: Response[] = []
    for (let i = 0; i < 4; i++) kept.push(await client.fetch(`${origin.url}/${encodeURIComponent(shape)}`))
    await works(client, origin.url)
    const error: unknown = await (kept[0] as Response).text().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TypeError)
    const { cause } = error as Error
    expect(cause).toBeInstanceOf(BodyReclaimedError)
    expect(cause).toMatchObject({ code: 'ERR_DRAINED_BODY_RECLAIMED', origin: origin.url })
    expect((cause as BodyReclaimedError).age).toBeGreaterThanOrEqual(100)
    // Only as many as were needed.
    expect(client.stats().bodies.closed).toBe(1)
  })
}

test('a connection that is being closed for a request that waits is not paid for twice', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ connections: 4, drain })
  const kept: Response[] = []
  for (let i = 0; i < 3; i++) kept.push(await client.fetch(`${origin.url}/64%20MiB`))
  // All three may be taken by now.
  await new Promise((resolve) => setTimeout(resolve, drain.stall * 1.5))
  kept.push(await client.fetch(`${origin.url}/64%20MiB`))
  // In the turn in which the fourth becomes one that nobody has touched.
  await works(client, origin.url)
  expect(client.stats().bodies.closed).toBe(1)
  expect(kept).toHaveLength(4)
})

test('bodies somebody reads, however slowly, are never taken (T37)', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ connections: 3, drain })
  const readers = await Promise.all(
    [1, 2].map(async () => (await client.fetch(`${origin.url}/64%20MiB`)).body?.getReader()),
  )
  for (const reader of readers) await reader?.read()
  // The youngest, so that a reader would be taken first if it could be.
  const untouched = await client.fetch(`${origin.url}/64%20MiB`)
  await works(client, origin.url)
  expect(client.stats().bodies.closed).toBe(1)
  await expect(untouched.text().then(({ length }) => length)).rejects.toMatchObject({
    cause: expect.any(BodyReclaimedError),
  })
  for (const reader of readers) expect((await reader?.read())?.done).toBe(false)
  for (const reader of readers) await reader?.cancel()
})

test('untouched bodies are left alone while nobody waits', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ connections: 2, drain })
  const response = await client.fetch(`${origin.url}/64%20MiB`)
  // Younger, and taken: somebody waits.
  await using other = testClient({ connections: 1, drain })
  await other.fetch(`${origin.url}/64%20MiB`)
  await works(other, origin.url)
  expect(other.stats().bodies.closed).toBe(1)
  await works(client, origin.url)
  expect(client.stats().bodies.closed).toBe(0)
  expect((await response.body?.getReader().read())?.done).toBe(false)
})

test('under undici.request a body whose buffer is full is taken back, too (T36)', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ connections: 1, drain })
  const { body } = await request(`${origin.url}/64%20MiB`, { dispatcher: client.dispatcher })
  await works(client, origin.url)
  await expect(body.arrayBuffer()).rejects.toThrow()
})

test('a dropped response is collected and the origin sees its connection end (T38)', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ drain: { stall: 60_000 } })
  await client.fetch(`${origin.url}/64%20MiB`)
  expect(origin.open).toBe(1)
  await untilCollected(() => origin.open === 0, 'collected')
  expect(client.stats().bodies.reasons).toMatchObject({ bytes: 1 })
})

test('10,000 unread bodies in a row leave the number of ports flat (T40)', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ connections: 1_000 })
  for (let i = 0; i < 10_000; i++) await client.fetch(`${origin.url}/ok`)
  // One, and one more for each time the machine holds this process up for longer than a request waits for it.
  expect(origin.accepted).toBeLessThanOrEqual(100)
}, 60_000)
