/** For any script of failures: attempts, waits and load stay within the policy, and nothing is left behind. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type RetryNotice, TimeoutError } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin, type Reply } from '../support/origin.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

type Step =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly size: number
      readonly isChunked: boolean
      readonly after?: number
    }
  | { readonly kind: 'reset' | 'end' | 'half' }
  | { readonly kind: 'silence' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('status' as const),
      status: fc.constantFrom(200, 404, 408, 429, 500, 503, 504),
      size: fc.constantFrom(0, 1, 20_000, 300_000),
      isChunked: fc.boolean(),
      after: fc.constantFrom(0, 1, 30, 5_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('reset' as const, 'end' as const, 'half' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('silence' as const) }) },
)

async function play(step: Step, reply: Reply): Promise<void> {
  switch (step.kind) {
    case 'reset':
      return reply.reset()
    case 'end':
      return reply.end()
    case 'half':
      await reply.write('HTTP/1.1 503 Busy\r\ncontent-le')
      return reply.reset()
    case 'silence':
      return until(() => !reply.isOpen, 'the client has gone', 30_000)
    case 'status':
  }
  const { status, size, isChunked, after } = step
  const framing = isChunked ? 'transfer-encoding: chunked' : `content-length: ${size}`
  const hint = after === undefined ? '' : `retry-after-ms: ${after}\r\n`
  await reply.write(`HTTP/1.1 ${status} Status\r\n${framing}\r\n${hint}\r\n`)
  const body = 'x'.repeat(size)
  if (!isChunked) return reply.write(body)
  await reply.write(size === 0 ? '0\r\n\r\n' : `${size.toString(16)}\r\n${body}\r\n0\r\n\r\n`)
}

const maxAttempts = 4
const maxRetryAfter = 1_000
const backoff = { initial: 2, max: 8 }

test('attempts, waits and connections stay within the policy, whatever the server does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), fc.boolean(), async (steps, isRead) => {
      let at = 0
      const statuses: (number | string)[] = []
      await using origin = await createOrigin(async (_, reply) => {
        const next = steps[Math.min(at++, steps.length - 1)] as Step
        statuses.push(next.kind === 'status' ? next.status : next.kind)
        await play(next, reply)
      })
      const notices: RetryNotice[] = []
      await using client = testClient({
        timeout: { attempt: 100 },
        retry: { maxAttempts, maxRetryAfter, backoff, onRetry: (notice) => void notices.push(notice) },
      })
      const outcome = await client.fetch(origin.url).then(
        async (response) => {
          if (isRead) await response.text()
          return response.status
        },
        (error: Error & { attempts?: number }) => error,
      )
      const attempts = notices.length + 1
      // A connection may take longer than an attempt has.
      const late =
        notices.filter(({ error }) => error instanceof TimeoutError).length +
        (outcome instanceof TimeoutError ? 1 : 0)
      expect(attempts).toBeLessThanOrEqual(maxAttempts)
      // A request that died on a connection that had been idle is sent again by the wire; all others are attempts.
      expect(origin.seen.length).toBeGreaterThanOrEqual(attempts - late)
      for (const { attempt, wait, response } of notices) {
        const asked = Number(response?.headers.get('retry-after-ms') ?? 0)
        expect(asked).toBeLessThanOrEqual(maxRetryAfter)
        expect(wait).toBeGreaterThanOrEqual(asked)
        expect(wait).toBeLessThanOrEqual(Math.max(asked, backoff.initial * 2 ** (attempt - 1), 0))
      }
      // One call at a time needs no second connection unless the first one is gone.
      const broken = statuses.filter((status) => typeof status === 'string').length
      expect(origin.accepted).toBeLessThanOrEqual(1 + late + broken + client.stats().bodies.closed)
      const isFinal = (status: unknown): boolean => status === 200 || status === 404
      if (typeof outcome === 'number') expect(outcome).toBe(statuses.at(-1))
      else expect(outcome.attempts ?? 1).toBe(attempts)
      // It went on as long as there was a reason to.
      if (attempts < maxAttempts && typeof outcome === 'number' && !isFinal(outcome))
        expect(client.stats().retries.gaveUp['retry-after']).toBe(1)
      const { requests } = client.stats()
      await until(() => client.stats().requests.inFlight === 0, 'all of it has arrived, or was given up')
      expect(requests.waiting).toBe(0)
    }),
    { numRuns: 60, endOnFailure: true },
  )
}, 60_000)
