/** Options of retries as a policy: from the outcome of an attempt to a wait, or the end. Pure but for dice and clock. */
import {
  type AttemptOutcome,
  checkAttempts,
  isPolicy,
  type NextAttempt,
  type ResolvedRetry,
  resolveRetry,
  type Retry,
  type RetryBudget,
  retryDefaults,
  type RetryOptions,
  type RetryPolicy,
} from '../options/retry.ts'
import { isObject, withoutUndefined } from '../options/check.ts'
import { TimeoutError } from '../errors.ts'
import { backoff } from './backoff.ts'
import { shareBudget } from './budget.ts'
import { retryAfter } from './retry-after.ts'

export const stop: NextAttempt = { retry: false }

/** The policy of plain options. `options` are kept, so that one call may change some of them. */
export class OptionsPolicy implements RetryPolicy {
  readonly maxAttempts: number
  readonly onRetry: RetryPolicy['onRetry']
  readonly asksAboutSuccess: boolean
  readonly options: RetryOptions
  readonly #resolved: ResolvedRetry
  readonly #random: () => number

  /** @param random from 0 up to 1 */
  constructor(options: RetryOptions, path = 'retry', random: () => number = Math.random) {
    this.options = options
    this.#resolved = resolveRetry(options, path)
    this.#random = random
    this.maxAttempts = this.#resolved.maxAttempts
    this.onRetry = this.#resolved.onRetry
    this.asksAboutSuccess = this.#resolved.shouldRetry !== undefined
  }

  createBudget(): RetryBudget | undefined {
    return shareBudget(this.#resolved.budget)
  }

  next(outcome: AttemptOutcome): NextAttempt | Promise<NextAttempt> {
    const usual = this.#isRetryable(outcome)
    const { shouldRetry } = this.#resolved
    if (shouldRetry === undefined) return usual ? this.#wait(outcome) : stop
    const decided = shouldRetry(outcome, usual)
    if (typeof decided === 'boolean') return decided ? this.#wait(outcome) : stop
    return Promise.resolve(decided).then((wanted) => (wanted ? this.#wait(outcome) : stop))
  }

  #isRetryable({ method, response, error, code }: AttemptOutcome): boolean {
    const { methods, statuses, codes } = this.#resolved
    if (response?.ok || !methods.includes(method)) return false
    if (response !== undefined) return statuses.includes(response.status)
    return isNetworkFailure(error, code, codes)
  }

  #wait(outcome: AttemptOutcome): NextAttempt {
    const { respectRetryAfter, maxRetryAfter } = this.#resolved
    const own = backoff(this.#resolved.backoff, outcome.attempt, outcome.waited, this.#random())
    const { response } = outcome
    if (!respectRetryAfter || response === undefined) return { retry: true, wait: own }
    return noSooner(own, retryAfter(response.headers, response.status, Date.now()), maxRetryAfter)
  }
}

/** An error that another attempt may not meet. */
export function isNetworkFailure(
  error: unknown,
  code: string | undefined,
  codes: readonly string[] = retryDefaults.codes,
): boolean {
  // A request that could not get a connection in time would only make the queue longer.
  if (error instanceof TimeoutError && !isRepeatable(error)) return false
  return code !== undefined && codes.includes(code)
}

const isRepeatable = ({ phase }: TimeoutError): boolean =>
  phase === 'connect' || phase === 'headers' || phase === 'attempt'

/** After our own wait, but no sooner than the server asks; not at all if it asks for more than `max`. All in milliseconds. */
export function noSooner(own: number, asked: number | undefined, max: number): NextAttempt {
  if (asked === undefined) return { retry: true, wait: own }
  return asked > max ? { retry: false, because: 'retry-after' } : { retry: true, wait: Math.max(own, asked) }
}

/**
 * The policy that `retry` stands for; undefined for none.
 * @param base of the client, over which the options of a call are laid
 * @throws InvalidOptionError
 */
export function policyOf(
  retry: Retry | undefined,
  path = 'retry',
  base?: RetryPolicy,
): RetryPolicy | undefined {
  // Other libraries hand their own `retry: 0` on to fetch.
  if (retry === undefined || retry === false || retry === 0) return undefined
  if (retry === true) return base ?? new OptionsPolicy({}, path)
  if (typeof retry === 'number') {
    checkAttempts(retry, path)
    if (base === undefined) return new OptionsPolicy({ maxAttempts: retry }, path)
    const { onRetry, asksAboutSuccess = false } = base
    return { next: (outcome) => base.next(outcome), onRetry, asksAboutSuccess, maxAttempts: retry }
  }
  if (isPolicy(retry)) {
    checkAttempts(retry.maxAttempts, `${path}.maxAttempts`)
    return retry
  }
  // What is no object at all is refused as it is.
  const isLaidOver = base instanceof OptionsPolicy && isObject(retry)
  return new OptionsPolicy(isLaidOver ? { ...base.options, ...withoutUndefined(retry) } : retry, path)
}
