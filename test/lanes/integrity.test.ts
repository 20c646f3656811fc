/** With integrity metadata undici's fetch reads the body before it answers: `timeout.body` counts for that reading. */
import crypto from 'node:crypto'
import { expect, test } from 'vitest'
import { testClient } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'

const parts = Array.from({ length: 24 }, (_, at) => `part ${at}, `)
const integrity = `sha256-${crypto.createHash('sha256').update(parts.join('')).digest('base64')}`
const head = `HTTP/1.1 200 OK\r\ncontent-length: ${parts.join('').length}\r\n\r\n`
const never = new Promise<never>(() => {})

for (const phase of ['body', 'total'] as const) {
  test(`a body that stalls ends in phase ${phase}`, async () => {
    await using origin = await createOrigin(async (_, reply) => {
      await reply.write(head + parts[0])
      await never
    })
    await using client = testClient({ timeout: { [phase]: 100 } })
    await expect(client.fetch(origin.url, { integrity })).rejects.toMatchObject({
      name: 'TimeoutError',
      phase,
      limit: 100,
    })
  })
}

test('timeout.body counts anew for each part', async () => {
  const waits: number[] = []
  await using origin = await createOrigin(async ({ path }, reply) => {
    if (path === '/moved') {
      await reply.write('HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n')
      return
    }
    await reply.write(head)
    const began = performance.now()
    for (const part of parts) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      await reply.write(part)
    }
    waits.push(performance.now() - began)
  })
  await using client = testClient({ timeout: { body: 2_000 } })
  const response = await client.fetch(`${origin.url}/moved`, { integrity })
  // All waits together were longer than the limit.
  expect(waits[0]).toBeGreaterThan(2_000)
  expect(await response.text()).toBe(parts.join(''))
})
