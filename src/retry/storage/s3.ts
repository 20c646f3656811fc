/**
 * What AWS's clients do about a failed request to S3, in their standard mode: which answers and codes are worth another attempt, when it
 * is sent, and the tokens it costs. Pure but for dice, and for the code, which is in the body.
 */
import type { AttemptOutcome, NextAttempt, RetryBudget, RetryPolicy } from '../../options/retry.ts'
import { type ResolvedS3, resolveS3, type S3Options } from '../../options/storage.ts'
import { backoff } from '../backoff.ts'
import { isNetworkFailure, stop } from '../policy.ts'
import { retryAfter } from '../retry-after.ts'
import { errorCode, mayHideError } from './s3-error.ts'

type Kind = 'throttling' | 'transient'

/** Codes of all of AWS's services: S3 itself sends `SlowDown`, and others that speak its language are less exact. */
const throttlingCodes: ReadonlySet<string> = new Set([
  'BandwidthLimitExceeded',
  'EC2ThrottledException',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'TransactionInProgressException',
])

/** The body of the request was too slow: S3 says so with a 400. A clock that is wrong (403) is as wrong at the next attempt. */
const transientCodes: ReadonlySet<string> = new Set([
  'RequestTimeout',
  'RequestTimeoutException',
  'TimeoutError',
])
const transientStatuses: ReadonlySet<number> = new Set([500, 502, 503, 504])

/** Milliseconds by which a server may lengthen a wait. */
const longest = 5_000

export class S3Policy implements RetryPolicy {
  readonly maxAttempts: number
  readonly onRetry: RetryPolicy['onRetry']
  /** A copy that fails late is answered with 200. */
  readonly asksAboutSuccess = true
  readonly #backoff: ResolvedS3['backoff']
  readonly #random: () => number
  /** What attempts have failed of: it says what the next one costs. */
  readonly #kinds = new WeakMap<AttemptOutcome, Kind>()

  /** @param random from 0 up to 1 */
  constructor(options: S3Options, random: () => number = Math.random) {
    const resolved = resolveS3(options)
    this.#backoff = resolved.backoff
    this.#random = random
    this.maxAttempts = resolved.maxAttempts
    this.onRetry = resolved.onRetry
  }

  createBudget(): TokenBudget {
    return new TokenBudget((outcome) => this.#kinds.get(outcome))
  }

  next(outcome: AttemptOutcome): NextAttempt | Promise<NextAttempt> {
    const { response, error, code } = outcome
    if (response === undefined)
      return this.#follow(outcome, isNetworkFailure(error, code) ? 'transient' : undefined)
    const { status } = response
    if (mayHideError(outcome)) {
      return errorCode(response, true).then((hidden) =>
        this.#follow(outcome, hidden === undefined ? undefined : kindOf(503, hidden)),
      )
    }
    if (status !== 400 && status < 500) return this.#follow(outcome, kindOf(status, ''))
    return errorCode(response).then((given = '') => this.#follow(outcome, kindOf(status, given)))
  }

  #follow(outcome: AttemptOutcome, kind: Kind | undefined): NextAttempt {
    if (kind === undefined) return stop
    this.#kinds.set(outcome, kind)
    const { initial, throttled, max } = this.#backoff
    const growth = { initial: kind === 'throttling' ? throttled : initial, max, factor: 2 }
    const own = backoff({ ...growth, jitter: 'full' }, outcome.attempt, outcome.waited, this.#random())
    return { retry: true, wait: Math.max(own, Math.min(askedBy(outcome) ?? 0, own + longest)) }
  }
}

/**
 * Retries as AWS's clients make them in standard mode: 3 attempts, full jitter up to 20 seconds, and a bucket of tokens per client.
 * For `createClient({ retry: s3() })`.
 * @throws InvalidOptionError
 */
export const s3 = (options: S3Options = {}): RetryPolicy => new S3Policy(options)

function kindOf(status: number, code: string): Kind | undefined {
  if (status === 429 || throttlingCodes.has(code)) return 'throttling'
  return transientStatuses.has(status) || transientCodes.has(code) ? 'transient' : undefined
}

function askedBy({ response }: AttemptOutcome): number | undefined {
  if (response === undefined) return undefined
  const ms = response.headers.get('x-amz-retry-after')
  if (ms !== null && /^\d+$/.test(ms)) return Number(ms)
  return retryAfter(response.headers, response.status, Date.now())
}

/** Tokens a client has at the start and at the most. */
export const capacity = 500
const costs: { readonly [K in Kind]: number } = { transient: 14, throttling: 5 }

/**
 * The standard mode's bucket of tokens: a retry takes some, an answer it has led to gives them back, and a call that needs no retry gives one.
 * A hedged request is paid for as a retry, by the calls that need none.
 */
export class TokenBudget implements RetryBudget {
  /** Left now. */
  tokens: number = capacity
  readonly #kindOf: (outcome: AttemptOutcome) => Kind | undefined

  constructor(kindOf: (outcome: AttemptOutcome) => Kind | undefined) {
    this.#kindOf = kindOf
  }

  deposit(): void {}

  withdraw(outcome?: AttemptOutcome): boolean {
    const cost = this.#cost(outcome)
    if (cost > this.tokens) return false
    this.tokens -= cost
    return true
  }

  left(): number {
    return Math.floor(this.tokens / costs.transient)
  }

  settle({ response, previous }: AttemptOutcome): void {
    if (!response?.ok) return
    this.tokens = Math.min(capacity, this.tokens + (previous === undefined ? 1 : this.#cost(previous)))
  }

  #cost(outcome: AttemptOutcome | undefined): number {
    return costs[(outcome === undefined ? undefined : this.#kindOf(outcome)) ?? 'transient']
  }
}
