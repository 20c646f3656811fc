/** A signal that lives as long as the program: calls end with it, and leave nothing on it. */
import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import type { FetchInit } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'
import { until, untilCollected } from '../support/until.ts'

/** What AbortSignal.any leaves on a signal. */
function followers(signal: AbortSignal): number {
  const symbol = Object.getOwnPropertySymbols(signal).find((each) => /dependant/i.test(String(each)))
  const found = symbol && (signal as unknown as Record<symbol, { size: number } | undefined>)[symbol]
  return getEventListeners(signal, 'abort').length + (found?.size ?? 0)
}

test('what follows a signal is found', () => {
  const { signal } = new AbortController()
  const follower = AbortSignal.any([signal])
  // Some versions of Node.js leave nothing before somebody listens.
  follower.addEventListener('abort', () => {})
  expect(followers(signal)).toBeGreaterThan(0)
  expect(follower.aborted).toBe(false)
})

const ways: [string, FetchInit][] = [
  ['a hedged call', { hedge: { after: 60_000 } }],
  ['a call with limits that undici makes', { timeout: { total: 60_000, body: 60_000 }, cache: 'no-cache' }],
  [
    'a hedged call that undici makes',
    { hedge: { after: 60_000 }, timeout: { total: 60_000 }, cache: 'no-cache' },
  ],
]

for (const [what, init] of ways) {
  test(`${what} leaves nothing on its signal`, async () => {
    await using origin = await createOrigin((_, reply) =>
      reply.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
    )
    await using client = testClient()
    const { signal } = new AbortController()
    for (let call = 0; call < 20; call++)
      expect(await (await client.fetch(origin.url, { ...init, signal })).text()).toBe('ok')
    await untilCollected(() => followers(signal) === 0, 'nothing is left on the signal')
  })

  test(`${what} ends with its signal, however often garbage was collected since: before its answer, and in its body`, async () => {
    await using origin = await createOrigin((request, reply) =>
      request.path === '/body' ? reply.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome') : undefined,
    )
    await using client = testClient()
    for (const path of ['/never', '/body']) {
      const controller = new AbortController()
      const call = client
        .fetch(origin.url + path, { ...init, signal: controller.signal })
        .then((response) => response.text())
      const failed = expect(call).rejects.toBe('enough')
      await until(() => origin.seen.some((request) => request.path === path), 'the request is there')
      let passes = 0
      await untilCollected(() => ++passes > 1, 'garbage is collected')
      controller.abort('enough')
      await failed
    }
  })
}
