/** Waits between attempts: pure arithmetic, for any options, attempt and die. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffDefaults } from '../../src/options/retry.ts'
import { backoff } from '../../src/retry/backoff.ts'

const steps = (jitter: 'full' | 'equal' | 'none', random: number): number[] =>
  [1, 2, 3, 4, 8, 20].map((attempt) => backoff({ ...backoffDefaults, jitter }, attempt, 0, random))

test('without jitter the wait doubles from 200 ms up to 20 s', () => {
  expect(steps('none', 0.3)).toEqual([200, 400, 800, 1_600, 20_000, 20_000])
})

test('full jitter spreads over the whole wait, equal jitter over its second half', () => {
  expect(steps('full', 0)).toEqual([0, 0, 0, 0, 0, 0])
  expect(steps('full', 0.5)).toEqual([100, 200, 400, 800, 10_000, 10_000])
  expect(steps('equal', 0)).toEqual([100, 200, 400, 800, 10_000, 10_000])
  expect(steps('equal', 0.5)).toEqual([150, 300, 600, 1_200, 15_000, 15_000])
})

test('decorrelated jitter goes from the first wait to three times the last one', () => {
  const options = { ...backoffDefaults, jitter: 'decorrelated' } as const
  expect(backoff(options, 1, 0, 0)).toBe(200)
  expect(backoff(options, 1, 0, 0.5)).toBe(400)
  expect(backoff(options, 2, 500, 0)).toBe(200)
  expect(backoff(options, 2, 500, 0.5)).toBe(850)
  expect(backoff(options, 9, 19_000, 0.999)).toBe(20_000)
})

const anyOptions = fc.record({
  initial: fc.integer({ min: 0, max: 2_147_483_647 }),
  max: fc.integer({ min: 0, max: 2_147_483_647 }),
  factor: fc.double({ min: 1, max: 1e6, noNaN: true }),
  jitter: fc.constantFrom('full', 'equal', 'decorrelated', 'none'),
})

test('no wait is negative, longer than the maximum, or no number, whatever the options', () => {
  fc.assert(
    fc.property(
      anyOptions,
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 2_147_483_647, noNaN: true }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (options, attempt, last, random) => {
        const wait = backoff(options, attempt, Math.min(last, options.max), random)
        expect(wait).toBeGreaterThanOrEqual(0)
        expect(wait).toBeLessThanOrEqual(options.max)
      },
    ),
    { numRuns: 2_000 },
  )
})
