/** How long requests waited for a connection: a histogram of fixed size, exact in its sum and its maximum. Pure. */

export interface Waits {
  readonly count: number
  /** Milliseconds of all together. */
  readonly total: number
  readonly longest: number
  /** Requests by the step of {@link steps} that their wait is below; one more for the rest. */
  readonly buckets: readonly number[]
}

/** Milliseconds: from what nobody notices (a connection stood) to what a caller has given up on. */
export const steps: readonly number[] = [1, 10, 100, 1_000, 10_000]

export const noWaits: Waits = { count: 0, total: 0, longest: 0, buckets: [0, 0, 0, 0, 0, 0] }

export function addWait({ count, total, longest, buckets }: Waits, ms: number): Waits {
  const step = steps.findIndex((limit) => ms < limit)
  const index = step === -1 ? steps.length : step
  return {
    count: count + 1,
    total: total + ms,
    longest: Math.max(longest, ms),
    buckets: buckets.map((each, i) => (i === index ? each + 1 : each)),
  }
}

export function sumOfWaits(all: readonly Waits[]): Waits {
  return all.reduce(
    (sum, each) => ({
      count: sum.count + each.count,
      total: sum.total + each.total,
      longest: Math.max(sum.longest, each.longest),
      buckets: sum.buckets.map((value, i) => value + (each.buckets[i] ?? 0)),
    }),
    noWaits,
  )
}
