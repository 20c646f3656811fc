import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decide, leastConnectMs, onTheWay, type Rest } from '../../src/wire/decision.ts'

const KiB = 1024
const base: Rest = {
  remaining: 100 * KiB,
  reusable: true,
  http2: false,
  eventStream: false,
  closing: false,
  connectMs: undefined,
  bytesPerMs: undefined,
  maxBytes: 1024 * KiB,
  maxTime: 2_000,
}

const cases: [string, Partial<Rest>, string | number][] = [
  ['nothing measured yet: drain for up to maxTime', {}, 2_000],
  ['HTTP/2 never drains', { http2: true }, 'http2'],
  ['a closing client never drains', { closing: true }, 'closing'],
  ['a connection that ends anyway is not drained', { reusable: false }, 'unreusable'],
  ['an event stream has no end', { eventStream: true, remaining: undefined }, 'event-stream'],
  ['more than maxBytes is not begun', { remaining: 1024 * KiB + 1 }, 'bytes'],
  ['exactly maxBytes is', { remaining: 1024 * KiB }, 2_000],
  ['slower than a new connection', { remaining: 1000 * KiB, bytesPerMs: KiB, connectMs: 20 }, 'cost'],
  [
    'slower, but TLS across an ocean is slower still',
    { remaining: 1000 * KiB, bytesPerMs: KiB, connectMs: 1_500 },
    2_000,
  ],
  ['slower than maxTime', { remaining: 1000 * KiB, bytesPerMs: 100, connectMs: 60_000 }, 'time'],
  ['a slow link, but the rest is on its way', { remaining: onTheWay, bytesPerMs: 1, connectMs: 1 }, 2_000],
  ['unknown length: as long as a new connection takes', { remaining: undefined, connectMs: 250 }, 250],
  ['unknown length, fast network: the least', { remaining: undefined, connectMs: 1 }, leastConnectMs],
  ['unknown length: never past maxTime', { remaining: undefined, connectMs: 9_000 }, 2_000],
]

test.each(cases)('%s', (_, change, expected) => {
  const decision = decide({ ...base, ...change })
  expect(decision.action === 'drain' ? decision.maxMs : decision.reason).toBe(expected)
})

test('whatever is known, a drain stays within its limits', () => {
  const maybe = (most: number): fc.Arbitrary<number | undefined> =>
    fc.option(fc.double({ min: 0, max: most, noNaN: true }), { nil: undefined })
  fc.assert(
    fc.property(
      maybe(2 ** 53),
      maybe(1e5),
      maybe(1e6),
      fc.nat(),
      fc.nat(1e6),
      (remaining, connectMs, bytesPerMs, maxBytes, maxTime) => {
        const decision = decide({ ...base, remaining, connectMs, bytesPerMs, maxBytes, maxTime })
        if (decision.action === 'close') return
        expect(decision.maxMs).toBeLessThanOrEqual(maxTime)
        expect(decision.maxBytes).toBe(maxBytes)
        if (remaining !== undefined) expect(remaining).toBeLessThanOrEqual(maxBytes)
      },
    ),
  )
})
