/** What an origin keeps in bounds, however many requests are on their way and however many origins there are. */
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { Origin, type Scope } from '../../src/wire/origin.ts'
import { Origins } from '../../src/wire/origins.ts'
import { Recent } from '../../src/wire/recent.ts'

test('those that began in the last milliseconds and have not ended are counted, to the millisecond', () => {
  const step = fc.record({
    ms: fc.double({ min: 0, max: 12, noNaN: true }),
    ends: fc.option(fc.nat(), { nil: undefined }),
    back: fc.integer({ min: 0, max: 15 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const recent = new Recent()
      const running: number[] = []
      let now = 1_000
      for (const { ms, ends, back } of steps) {
        now += ms
        if (ends === undefined || running.length === 0) {
          recent.begin(now)
          running.push(now)
        } else {
          const [at] = running.splice(ends % running.length, 1) as [number]
          recent.end(at)
        }
        const since = now - back
        const begun = running.filter((at) => Math.floor(at) > Math.floor(since))
        expect(recent.since(since)).toBe(begun.length)
      }
    }),
  )
})

const scope: Scope = {
  client: 'test',
  limit: undefined,
  stall: 0,
  warn: Infinity,
  leaks: undefined,
  isAwaited: true,
  closing: false,
  error: undefined,
}

test('1,000 idle origins are remembered, and all in use; the numbers of the others stay in the totals', () => {
  const looked = vi.spyOn(Origin.prototype, 'isIdle', 'get')
  const origins = new Origins(scope)
  for (let i = 0; i < 5_000; i++) origins.of(`http://${i}.test`).counts.open = 1
  expect(Object.keys(origins.stats().origins).length).toBe(5_000)
  // A few times each, not once for each that came later.
  expect(looked.mock.calls.length).toBeLessThan(5 * 5_000)
  for (const origin of origins.all()) {
    origin.counts.open = 0
    origin.counts.read = 1
  }
  for (let i = 0; i < 3_000; i++) origins.of(`http://late-${i}.test`)
  expect(Object.keys(origins.stats().origins).length).toBeLessThanOrEqual(1_000)
  expect(origins.stats().bodies.read).toBe(5_000)
  looked.mockRestore()
})
