/** A Request passes its signal on only as long as it lives itself, and a caller has no reason to keep it: a call does. */
import { Request as UndiciRequest } from 'undici'
import { expect, test } from 'vitest'
import { type ClientOptions, createClient, type FetchInit } from '../../src/index.ts'
import { createOrigin } from '../support/origin.ts'
import { until, untilCollected } from '../support/until.ts'

const limits = { timeout: { total: 60_000, body: 60_000 } }
const ways: readonly [string, ClientOptions, FetchInit?][] = [
  ['short lane', {}],
  ['short lane with limits', limits],
  ['long lane', {}, { cache: 'no-cache' }],
  ['long lane with limits', limits, { cache: 'no-cache' }],
  ['retries', { retry: true }],
  ['retries and a hedge', { retry: true, hedge: { after: 60_000 } }],
  ['retries on the long lane', { retry: true }, { cache: 'no-cache' }],
  ['a fetch of somebody else’s', { fetch: globalThis.fetch }],
  [
    'a fetch of somebody else’s, with limits and retries',
    { fetch: globalThis.fetch, retry: true, ...limits },
  ],
]

for (const [what, options, init] of ways) {
  for (const [whose, Class] of [
    ['Node’s', Request],
    ['undici’s', UndiciRequest as unknown as typeof Request],
  ] as const) {
    // Node's fetch takes no Request of undici's.
    if (options.fetch !== undefined && Class !== Request) continue
    test(`${what}: the signal of a Request (${whose}) that nobody keeps ends the call, before its answer and in its body`, async () => {
      await using origin = await createOrigin((request, reply) =>
        request.path === '/body'
          ? reply.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome')
          : undefined,
      )
      await using client = createClient(options)
      for (const path of ['/never', '/body']) {
        const controller = new AbortController()
        const ask = (): Promise<Response> =>
          client.fetch(new Class(origin.url + path, { signal: controller.signal }), init)
        const failed = expect(ask().then((response) => response.text())).rejects.toBe('enough')
        await until(() => origin.seen.some((request) => request.path === path), 'the request is there')
        let passes = 0
        await untilCollected(() => ++passes > 3, 'garbage is collected')
        controller.abort('enough')
        await failed
      }
    })
  }
}
