/** How long to wait after a failed attempt: pure. */
import type { BackoffOptions } from '../options/retry.ts'

/**
 * Milliseconds, from 0 to `max`.
 * @param attempt that has failed, 1 for the first
 * @param last wait before this attempt, 0 if there was none
 * @param random from 0 up to 1
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ for the kinds of jitter
 */
export function backoff(
  { initial, max, factor, jitter }: Readonly<Required<BackoffOptions>>,
  attempt: number,
  last: number,
  random: number,
): number {
  // The power of a large number of attempts is Infinity, which min() takes, but Infinity times 0 would be no number.
  const wait = initial === 0 ? 0 : Math.min(max, initial * factor ** (attempt - 1))
  if (jitter === 'none') return wait
  if (jitter === 'full') return wait * random
  if (jitter === 'equal') return wait / 2 + (wait / 2) * random
  const least = Math.min(initial, max)
  return Math.min(max, least + random * (Math.max(last, least) * 3 - least))
}
