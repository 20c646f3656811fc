/** The options of retries and hedged requests: types, defaults with their reasons, checks. */
import {
  boolean,
  check,
  type Check,
  type Checks,
  isCount,
  isObject,
  isTime,
  positive,
  time,
  withoutUndefined,
  aFunction,
} from './check.ts'
import { InvalidOptionError } from '../errors.ts'

/** One attempt that has ended, with a response (its body unread) or an error, and what was asked for. */
export interface AttemptOutcome {
  /** 1 for the first. */
  readonly attempt: number
  readonly method: string
  /** Address of this attempt as it was sent, secrets included. */
  readonly url: string
  /** Headers the caller gave. */
  readonly headers: Headers
  /** Leave its body alone, or read a `clone()`. */
  readonly response: Response | undefined
  readonly error: unknown
  /** The code of the network error: `ECONNRESET`, `UND_ERR_SOCKET`, `ERR_DRAINED_TIMEOUT`, ... */
  readonly code: string | undefined
  /** Milliseconds since the call. */
  readonly elapsed: number
  /** The last wait before this attempt in milliseconds; 0 for the first. */
  readonly waited: number
  /** The attempt before this one, its response given up; undefined for the first. A policy is told all it may need to know of a call. */
  readonly previous?: AttemptOutcome | undefined
}

/** What follows an attempt: nothing, or another one. */
export type NextAttempt =
  | { readonly retry: false; readonly because?: 'retry-after' }
  | {
      readonly retry: true
      /** Milliseconds to wait before it. */
      readonly wait: number
      /** Where to send it, if not to the same address. */
      readonly url?: string
    }

/** Keeps retries from multiplying the load of a service that is failing. One per client. */
export interface RetryBudget {
  /** A call begins. */
  deposit(): void
  /** Another attempt is wanted, after this outcome or beside a request still waited for; false refuses it. */
  withdraw(outcome?: AttemptOutcome): boolean
  /** A call has had an answer that is not retried, at this attempt. */
  settle?(outcome: AttemptOutcome): void
  /** Retries it would allow now, for statistics. */
  left?(): number
}

/** Decides what follows an attempt. `azureStorage()`, `s3()` and `gcs()` of `drained/storage` are such policies. */
export interface RetryPolicy {
  /** Attempts of a call altogether, the first included. */
  readonly maxAttempts: number
  next(outcome: AttemptOutcome): NextAttempt | Promise<NextAttempt>
  /** It wants to be asked about responses with a status of 2xx, too. */
  readonly asksAboutSuccess?: boolean
  /** A client's own budget, or none. */
  createBudget?(): RetryBudget | undefined
  /** Told of every attempt that will follow. */
  readonly onRetry?: ((retry: RetryNotice) => void) | undefined
}

/** An attempt that has failed and the one that follows. */
export interface RetryNotice extends AttemptOutcome {
  /** Milliseconds until the next attempt. */
  readonly wait: number
}

/** How long to wait between attempts. */
export interface BackoffOptions {
  /** Milliseconds before the second attempt. @default 200 (a connection that broke, or a failover within a zone) */
  initial?: number
  /** Milliseconds at the most. @default 20000 (as the AWS SDKs; longer than that, callers have left) */
  max?: number
  /** Each wait is so many times the one before. @default 2 */
  factor?: number
  /**
   * How waits are spread, so that clients that failed together do not come back together: `full` from 0 to the wait, `equal` from its half,
   * `decorrelated` from `initial` to three times the last one, `none`.
   * @default 'full' (of the four, the fewest calls for the same time)
   */
  jitter?: 'full' | 'equal' | 'decorrelated' | 'none'
}

/** The load retries may add. */
export interface BudgetOptions {
  /** Retries and hedged requests per call, over ten seconds. @default 0.2 (an outage sees at most 1.2 times the load, and the floor) */
  share?: number
  /** Retries that are allowed in ten seconds however few calls there are. @default 10 (one a second: no load to speak of) */
  floor?: number
}

/** When a call is sent again. */
export interface RetryOptions {
  /** Attempts altogether, the first included. @default 3 */
  maxAttempts?: number
  /** Methods that may be sent again. @default GET, HEAD, OPTIONS, TRACE, PUT, DELETE and QUERY: the idempotent ones (RFC 9110, 9.2.2) */
  methods?: readonly string[]
  /** Statuses that are worth another attempt, from 300 on. @default 408, 425, 429, 500, 502, 503, 504 */
  statuses?: readonly number[]
  /** Codes of network errors that are worth another attempt. @default those of connections refused, reset or timed out, and of hosts out of reach for now */
  codes?: readonly string[]
  /** Decides instead of methods, statuses and codes; `usual` is what they say. Attempts, budget and limits still hold. */
  shouldRetry?: (outcome: AttemptOutcome, usual: boolean) => boolean | Promise<boolean>
  backoff?: BackoffOptions
  /** Wait as long as the server says: `Retry-After`, `retry-after-ms`, `x-ms-retry-after-ms`, `RateLimit-Reset`. @default true */
  respectRetryAfter?: boolean
  /** Milliseconds; if the server asks for more, its response is handed out at once. @default 60000 */
  maxRetryAfter?: number
  /** Limits the load of all retries of a client; false for none. */
  budget?: BudgetOptions | false
  /** Called before the wait for each further attempt. What it throws ends the call. */
  onRetry?: (retry: RetryNotice) => void
}

/** A second request for a slow first one: the first answer wins. */
export interface HedgeOptions {
  /** Milliseconds without an answer after which the second one is sent. */
  after: number
}

/** @internal RFC 9110, 9.2.2, and QUERY, which is safe as well: sent twice without harm. */
export const idempotent: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
  'QUERY',
])

export const retryDefaults = {
  maxAttempts: 3,
  methods: [...idempotent] as readonly string[],
  statuses: [408, 425, 429, 500, 502, 503, 504],
  codes: [
    'ECONNRESET',
    'ECONNREFUSED',
    'ECONNABORTED',
    'EPIPE',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'EHOSTDOWN',
    'ENETUNREACH',
    'ENETDOWN',
    'ENETRESET',
    // A name that is not found may be there in a moment; a wrong one costs two look-ups more.
    'ENOTFOUND',
    'EAI_AGAIN',
    'UND_ERR_SOCKET',
    'UND_ERR_CONNECT_TIMEOUT',
    'UND_ERR_HEADERS_TIMEOUT',
    'ERR_HTTP2_STREAM_ERROR',
    'ERR_HTTP2_SESSION_ERROR',
    'ERR_HTTP2_GOAWAY_SESSION',
    'ERR_DRAINED_TIMEOUT',
  ],
  respectRetryAfter: true,
  maxRetryAfter: 60_000,
} as const

export const backoffDefaults: Required<BackoffOptions> = {
  initial: 200,
  max: 20_000,
  factor: 2,
  jitter: 'full',
}

export const budgetDefaults: Required<BudgetOptions> = { share: 0.2, floor: 10 }

const listOf = (what: string, ok: (each: unknown) => boolean): Check => ({
  accepts: `an array of ${what}`,
  ok: (value) => Array.isArray(value) && value.every((each) => ok(each)),
})

const backoffChecks: Checks<BackoffOptions> = {
  initial: time,
  max: time,
  factor: {
    accepts: 'a number, 1 or more',
    ok: (value) => Number.isFinite(value) && (value as number) >= 1,
  },
  jitter: {
    accepts: "'full', 'equal', 'decorrelated' or 'none'",
    ok: (value) => ['full', 'equal', 'decorrelated', 'none'].includes(value as string),
  },
}

export const budgetChecks: Checks<BudgetOptions> = {
  share: {
    accepts: 'a number from 0 to 1',
    ok: (value) => typeof value === 'number' && value >= 0 && value <= 1,
  },
  floor: { accepts: 'a whole number, 0 or more', ok: isCount },
}

export const retryChecks: Checks<RetryOptions> = {
  maxAttempts: positive,
  methods: listOf('methods in capitals', (each) => typeof each === 'string' && /^[!-`{-~]+$/.test(each)),
  statuses: listOf(
    // Of success only shouldRetry and policies are asked.
    'statuses from 300 to 599',
    (each) => isCount(each) && (each as number) >= 300 && (each as number) <= 599,
  ),
  codes: listOf('error codes', (each) => typeof each === 'string' && each !== ''),
  shouldRetry: aFunction,
  backoff: { accepts: 'an object', ok: isObject },
  respectRetryAfter: boolean,
  maxRetryAfter: time,
  budget: { accepts: 'an object, or false', ok: (value) => value === false || isObject(value) },
  onRetry: aFunction,
}

const hedgeChecks: Checks<HedgeOptions> = { after: time }

export const isPolicy = (value: unknown): value is RetryPolicy =>
  typeof value === 'object' && value !== null && typeof (value as RetryPolicy).next === 'function'

/** What `retry` may be. */
export type Retry = boolean | number | RetryOptions | RetryPolicy

export const retryCheck: Check = {
  accepts: 'true, false, a number of attempts, an object of options, or a policy',
  ok: (value) =>
    typeof value === 'boolean' || typeof value === 'number' || isObject(value) || isPolicy(value),
}

export const hedgeCheck: Check = {
  accepts: 'an object with after, or false',
  ok: (value) => value === false || isObject(value),
}

/** @internal Options of retries, complete but for the functions. */
export type ResolvedRetry = Readonly<
  Required<Omit<RetryOptions, 'shouldRetry' | 'onRetry' | 'backoff' | 'budget'>> &
    Pick<RetryOptions, 'shouldRetry' | 'onRetry'> & {
      backoff: Readonly<Required<BackoffOptions>>
      budget: Readonly<Required<BudgetOptions>> | false
    }
>

/**
 * Checked options of retries with every default filled in.
 * @throws InvalidOptionError
 */
export function resolveRetry(options: RetryOptions, path = 'retry'): ResolvedRetry {
  check(path, options, retryChecks)
  const { backoff = {}, budget = {} } = options
  check(`${path}.backoff`, backoff, backoffChecks)
  if (budget !== false) check(`${path}.budget`, budget, budgetChecks)
  return {
    ...retryDefaults,
    ...withoutUndefined(options),
    backoff: { ...backoffDefaults, ...withoutUndefined(backoff) },
    budget: budget === false ? false : { ...budgetDefaults, ...withoutUndefined(budget) },
  }
}

/** @throws InvalidOptionError if this is no number of attempts */
export function checkAttempts(maxAttempts: unknown, path: string): void {
  if (!isCount(maxAttempts) || maxAttempts === 0)
    throw new InvalidOptionError(
      path,
      `Option ${path} must be ${positive.accepts}, got ${typeof maxAttempts === 'number' ? maxAttempts : 'another value'}`,
    )
}

/** @throws InvalidOptionError */
export function resolveHedge(options: HedgeOptions | false | undefined, path = 'hedge'): number | undefined {
  if (options === undefined || options === false) return undefined
  check(path, options, hedgeChecks)
  if (!isTime(options.after))
    throw new InvalidOptionError(
      `${path}.after`,
      `Option ${path}.after must be ${time.accepts}, and has to be given`,
    )
  return options.after
}
