/**
 * What Google asks of clients of Cloud Storage: which answers are worth another attempt, when it is sent, and that what is not idempotent
 * is sent once. Pure but for dice and clock.
 */
import type { AttemptOutcome, NextAttempt, RetryBudget, RetryPolicy } from '../../options/retry.ts'
import { type GcsOptions, type ResolvedGcs, resolveGcs } from '../../options/storage.ts'
import { backoff } from '../backoff.ts'
import { shareBudget } from '../budget.ts'
import { isNetworkFailure, noSooner, stop } from '../policy.ts'
import { retryAfter } from '../retry-after.ts'
import { isIdempotent } from './idempotency.ts'

/** Milliseconds since the call after which no attempt begins. */
const total = 600_000

export class GcsPolicy implements RetryPolicy {
  readonly maxAttempts: number
  readonly onRetry: RetryPolicy['onRetry']
  readonly #options: ResolvedGcs
  readonly #random: () => number

  /** @param random from 0 up to 1 */
  constructor(options: GcsOptions, random: () => number = Math.random) {
    this.#options = resolveGcs(options)
    this.#random = random
    this.maxAttempts = this.#options.maxAttempts
    this.onRetry = this.#options.onRetry
  }

  createBudget(): RetryBudget | undefined {
    return shareBudget(this.#options.budget)
  }

  next(outcome: AttemptOutcome): NextAttempt {
    const { response, error, code } = outcome
    const isTransient =
      response === undefined ? isNetworkFailure(error, code) : isTransientStatus(response.status)
    if (!isTransient || !(this.#options.mayDuplicate || isIdempotent(outcome))) return stop
    const asked = response && retryAfter(response.headers, response.status, Date.now())
    const next = noSooner(this.#wait(outcome), asked, this.#options.maxRetryAfter)
    return next.retry && outcome.elapsed + next.wait >= total ? stop : next
  }

  /** 1, 2, 4, ... seconds and up to one more, so that clients that failed together do not come back together. */
  #wait({ attempt, waited }: AttemptOutcome): number {
    const { initial, max } = this.#options.backoff
    const wait = backoff({ initial, max, factor: 2, jitter: 'none' }, attempt, waited, 0)
    return Math.min(max, wait + this.#random() * initial)
  }
}

/**
 * Retries as Google documents them: 4 attempts of what is idempotent, after 1, 2 and 4 seconds and up to one more.
 * For `createClient({ retry: gcs() })`.
 * @throws InvalidOptionError
 */
export const gcs = (options: GcsOptions = {}): RetryPolicy => new GcsPolicy(options)

const isTransientStatus = (status: number): boolean => status === 408 || status === 429 || status >= 500
