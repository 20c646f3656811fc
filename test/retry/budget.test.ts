/** The load retries may add, by a clock of the test's own. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ShareBudget } from '../../src/retry/budget.ts'

function budgetOn(share: number, floor: number): { budget: ShareBudget; clock: { now: number } } {
  const clock = { now: 1_000_000 }
  return { budget: new ShareBudget({ share, floor }, () => clock.now), clock }
}

test('ten calls a second in an outage see 1.2 times the load and the floor, never more', () => {
  const { budget, clock } = budgetOn(0.2, 10)
  let [calls, retries] = [0, 0]
  for (let at = 0; at < 600; at++) {
    clock.now += 100
    budget.deposit()
    calls++
    // Each of them would be tried twice more.
    for (let again = 0; again < 2; again++) if (budget.withdraw()) retries++
  }
  // A minute of it touches seven times ten seconds, each with its floor.
  expect(retries).toBeLessThanOrEqual(0.2 * calls + 7 * 10)
  expect(retries).toBeGreaterThan(0.2 * calls)
})

test('a client with few calls has its floor again after ten seconds', () => {
  const { budget, clock } = budgetOn(0.2, 2)
  expect([budget.withdraw(), budget.withdraw(), budget.withdraw()]).toEqual([true, true, false])
  clock.now += 10_000
  expect(budget.withdraw()).toBe(false)
  clock.now += 1_000
  expect([budget.withdraw(), budget.withdraw(), budget.withdraw()]).toEqual([true, true, false])
})

test('calls of long ago pay for nothing', () => {
  const { budget, clock } = budgetOn(0.5, 0)
  for (let call = 0; call < 1_000; call++) budget.deposit()
  clock.now += 11_000
  expect(budget.withdraw()).toBe(false)
  budget.deposit()
  budget.deposit()
  expect([budget.withdraw(), budget.withdraw()]).toEqual([true, false])
})

test('in no ten seconds are there more retries than a share of the calls and the floor, whatever comes when', () => {
  const event = fc.record({
    wait: fc.integer({ min: 0, max: 4_000 }),
    isCall: fc.boolean(),
    times: fc.integer({ min: 1, max: 30 }),
  })
  const share = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(
    fc.property(share, fc.nat(20), fc.array(event, { maxLength: 60 }), (portion, floor, events) => {
      const { budget, clock } = budgetOn(portion, floor)
      const calls: number[] = []
      const retries: number[] = []
      for (const { wait, isCall, times } of events) {
        clock.now += wait
        for (let time = 0; time < times; time++) {
          if (isCall) {
            budget.deposit()
            calls.push(clock.now)
          } else if (budget.withdraw()) {
            retries.push(clock.now)
          }
        }
      }
      for (const end of retries) {
        const within = (times: number[]): number =>
          times.filter((time) => time <= end && time > end - 10_000).length
        expect(within(retries)).toBeLessThanOrEqual(floor + portion * within(calls) + 1e-9)
      }
    }),
    { numRuns: 500 },
  )
})
