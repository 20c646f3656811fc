/** A response that has arrived no longer holds its socket, whether anybody has read it or not. */
import { expect, test } from 'vitest'
import { createOrigin } from '../../support/origin.ts'
import { pattern, serveShapes, shapes } from '../../support/shapes.ts'
import { until } from '../../support/until.ts'
import { get, read, testAgent, works } from './support/agents.ts'

const reusable = Object.entries(shapes).filter(
  ([, { gets, reusable, isLarge }]) => gets instanceof Buffer && reusable && isLarge !== true,
)

for (const [name, shape] of reusable) {
  test(`${name}: unread, its only socket carries the next request`, async () => {
    await using origin = await createOrigin(serveShapes)
    await using agent = testAgent({ drain: { stall: 60_000 } })
    const path = `${origin.url}/${encodeURIComponent(name)}`
    const kept = []
    for (let i = 0; i < 5; i++) kept.push(await get(path, { agent, method: shape.method ?? 'GET' }))
    await works(agent, origin.url)
    expect(origin.accepted).toBe(1)
    // Read at last, each is complete.
    for (const { response } of kept) {
      const body = await read(response)
      if (name !== 'gzip') expect(Buffer.compare(body, shape.gets as Buffer)).toBe(0)
    }
    const { read: ended, open } = agent.stats().bodies
    expect({ ended, open }).toEqual({ ended: 6, open: 0 })
  })
}

test('what is read while it arrives goes the way of node:http, and its socket is reused', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  for (let i = 0; i < 5; i++) {
    const { response } = await get(`${origin.url}/1%20MiB`, { agent })
    expect(Buffer.compare(await read(response), pattern(1024 * 1024))).toBe(0)
  }
  expect(origin.accepted).toBe(1)
  await until(() => agent.stats().sockets.idle === 1, 'idle')
  expect(agent.stats()).toMatchObject({
    sockets: { open: 1, idle: 1, opened: 1, reused: 4, reset: 0 },
    bodies: { open: 0, holding: 0, read: 5, reasons: { complete: 5 } },
    bytes: { read: 5 * 1024 * 1024, held: 0 },
  })
})
