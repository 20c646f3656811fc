/**
 * What Azure's own client does about a failed request to Blob or Queue storage: which answers are worth another attempt, when it is
 * sent, and to which of the two locations. Pure but for dice and clock.
 */
import type { AttemptOutcome, NextAttempt, RetryBudget, RetryPolicy } from '../../options/retry.ts'
import { type AzureStorageOptions, type ResolvedAzure, resolveAzure } from '../../options/storage.ts'
import { shareBudget } from '../budget.ts'
import { isNetworkFailure, noSooner, stop } from '../policy.ts'
import { retryAfter } from '../retry-after.ts'

/** Codes of `x-ms-error-code`, and of a copy's source, that another attempt may not meet. */
const transientCodes: ReadonlySet<string | null> = new Set([
  'InternalError',
  'OperationTimedOut',
  'ServerBusy',
])

/** What the secondary location answers at all. */
const reads: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Milliseconds at the most, at random, between an attempt at the secondary and the next one at the primary. */
const secondaryWait = 1_000

export class AzureStoragePolicy implements RetryPolicy {
  readonly maxAttempts: number
  readonly onRetry: RetryPolicy['onRetry']
  readonly #options: ResolvedAzure
  readonly #random: () => number

  /** @param random from 0 up to 1 */
  constructor(options: AzureStorageOptions, random: () => number = Math.random) {
    this.#options = resolveAzure(options)
    this.#random = random
    this.maxAttempts = this.#options.maxAttempts
    this.onRetry = this.#options.onRetry
  }

  createBudget(): RetryBudget | undefined {
    return shareBudget(this.#options.budget)
  }

  next(outcome: AttemptOutcome): NextAttempt {
    if (!this.#isRetryable(outcome)) return stop
    const url = this.#secondaryAfter(outcome)
    const asked = askedBy(outcome, url !== undefined)
    const next = noSooner(this.#wait(outcome), asked, this.#options.maxRetryAfter)
    return next.retry && url !== undefined ? { ...next, url } : next
  }

  #isRetryable(outcome: AttemptOutcome): boolean {
    const { response, error, code } = outcome
    if (!this.#options.mayDuplicate && mayDuplicate(outcome)) return false
    if (response === undefined) return isNetworkFailure(error, code)
    const { status, headers } = response
    // What is not there yet may have been written to the primary a moment ago.
    if (status === 404 && isSecondary(outcome)) return true
    if (this.#options.statuses.includes(status)) return true
    if (status < 400) return false
    return (
      transientCodes.has(headers.get('x-ms-error-code')) ||
      transientCodes.has(headers.get('x-ms-copy-source-error-code'))
    )
  }

  /** Where to send the next attempt, if it is for the secondary: never again once that has not found what is asked for. */
  #secondaryAfter(outcome: AttemptOutcome): string | undefined {
    const { secondary } = this.#options
    if (secondary === undefined || !reads.has(outcome.method) || outcome.attempt % 2 === 0) return undefined
    for (const each of attempts(outcome)) {
      if (each.response?.status === 404 && isSecondary(each)) return undefined
    }
    return atHost(firstOf(outcome).url, secondary)
  }

  #wait(outcome: AttemptOutcome): number {
    const { initial, max } = this.#options.backoff
    if (isSecondary(outcome)) return this.#random() * Math.min(secondaryWait, initial)
    // 0, initial, 3 * initial, 7 * initial, ...: the first retry does not wait. Infinity times 0 would be no number.
    return initial === 0 ? 0 : Math.min((2 ** (outcome.attempt - 1) - 1) * initial, max)
  }
}

/**
 * Retries as Azure's own client for storage makes them: 4 attempts, at once, then after 4 and 12 seconds; reads at the secondary location
 * every other time. For `createClient({ retry: azureStorage() })`.
 * @throws InvalidOptionError
 */
export const azureStorage = (options: AzureStorageOptions = {}): RetryPolicy =>
  new AzureStoragePolicy(options)

/** Milliseconds from now until which the location that comes next wants to be left alone, as it last said. */
function askedBy(outcome: AttemptOutcome, secondary: boolean): number | undefined {
  for (const each of attempts(outcome)) {
    if (isSecondary(each) !== secondary) continue
    const { response, elapsed } = each
    if (response === undefined) return undefined
    const asked = retryAfter(response.headers, response.status, Date.now())
    return asked === undefined ? undefined : Math.max(0, asked - (outcome.elapsed - elapsed))
  }
  return undefined
}

/** Newest first. */
function* attempts(outcome: AttemptOutcome): Generator<AttemptOutcome> {
  for (let each: AttemptOutcome | undefined = outcome; each !== undefined; each = each.previous) yield each
}

function firstOf(outcome: AttemptOutcome): AttemptOutcome {
  let first = outcome
  while (first.previous !== undefined) first = first.previous
  return first
}

const isSecondary = (outcome: AttemptOutcome): boolean => outcome.url !== firstOf(outcome).url

/** The same address at another host; a signature holds at both, since neither names the host. */
function atHost(address: string, host: string): string {
  const url = new URL(address)
  url.port = ''
  url.host = host
  return url.href
}

/** Requests that leave a second message or a second block if the first one had been heard after all. */
function mayDuplicate({ method, url, headers }: AttemptOutcome): boolean {
  if (method !== 'PUT') return method === 'POST'
  const isAppend = URL.parse(url)?.searchParams.get('comp') === 'appendblock'
  return isAppend && !headers.has('x-ms-blob-condition-appendpos')
}
