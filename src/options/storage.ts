/** Options of the retry policies for storage services: their defaults are those of the services' own clients. */
import { boolean, check, type Check, type Checks, time, withoutUndefined } from './check.ts'
import { type BudgetOptions, budgetChecks, budgetDefaults, retryChecks, type RetryNotice } from './retry.ts'

/** How long to wait between attempts; how waits grow and are spread is the service's own rule. */
export interface StorageBackoff {
  /** Milliseconds the waits start from. @default azureStorage 4000, s3 50, gcs 1000 */
  initial?: number
  /** Milliseconds at the most. @default azureStorage 120000, s3 20000, gcs 64000 */
  max?: number
}

export interface S3Backoff extends StorageBackoff {
  /** Milliseconds the waits start from when the service asks for fewer requests (`SlowDown`, 429). @default 1000 */
  throttled?: number
}

/** What all of these policies take. */
export interface StorageOptions {
  /** Attempts altogether, the first included. @default azureStorage and gcs 4, s3 3 */
  maxAttempts?: number
  /** Called before the wait for each further attempt. What it throws ends the call. */
  onRetry?: (retry: RetryNotice) => void
}

interface BudgetedOptions extends StorageOptions {
  backoff?: StorageBackoff
  /** Milliseconds; if the server asks for more, its response is handed out at once. @default 60000 */
  maxRetryAfter?: number
  /** Limits the load of all retries of a client; false for none. @default that of plain retry options */
  budget?: BudgetOptions | false
}

export interface AzureStorageOptions extends BudgetedOptions {
  /**
   * Host, perhaps with a port, of the secondary location (`account-secondary.blob.core.windows.net`). Every second attempt of a read goes
   * there, with the same headers, `Authorization` included. @default none
   */
  secondary?: string
  /** Statuses that are worth another attempt, from 300 on. @default 500, 503 */
  statuses?: readonly number[]
  /** Send again what may then have been done twice: POST (Put Message) and Append Block without a position. @default true */
  mayDuplicate?: boolean
}

export interface S3Options extends StorageOptions {
  backoff?: S3Backoff
}

export interface GcsOptions extends BudgetedOptions {
  /** Send again what is not idempotent, whatever its preconditions. @default false */
  mayDuplicate?: boolean
}

/** From StorageRetryPolicy of @azure/storage-common 12.5. */
export const azureDefaults = {
  maxAttempts: 4,
  backoff: { initial: 4_000, max: 120_000 },
  statuses: [500, 503],
  mayDuplicate: true,
  maxRetryAfter: 60_000,
} as const

/** From the standard retry strategy of @smithy/core 3.41 (AWS's figures of 2026). */
export const s3Defaults = { maxAttempts: 3, backoff: { initial: 50, throttled: 1_000, max: 20_000 } } as const

/** From Google's pages on retries; attempts and maximum are also those of @google-cloud/storage 8.4. */
export const gcsDefaults = {
  maxAttempts: 4,
  backoff: { initial: 1_000, max: 64_000 },
  mayDuplicate: false,
  maxRetryAfter: 60_000,
} as const

const { maxAttempts, onRetry, backoff, maxRetryAfter, statuses, budget } = retryChecks

const host: Check = {
  accepts: 'a host, perhaps with a port',
  ok: (value) =>
    typeof value === 'string' &&
    /^([\w.-]+|\[[\da-f:.]+\])(:\d+)?$/i.test(value) &&
    URL.canParse(`https://${value}`),
}

const backoffChecks: Checks<StorageBackoff> = { initial: time, max: time }
const budgeted = { maxAttempts, onRetry, backoff, maxRetryAfter, budget }
const azureChecks: Checks<AzureStorageOptions> = {
  ...budgeted,
  statuses,
  secondary: host,
  mayDuplicate: boolean,
}
const s3Checks: Checks<S3Options> = { maxAttempts, onRetry, backoff }
const gcsChecks: Checks<GcsOptions> = {
  ...budgeted,
  mayDuplicate: boolean,
}

type Whole<T> = Readonly<Required<T>>
type Resolved<T extends StorageOptions, Backoff, Optional extends keyof T = never> = Readonly<
  Required<Omit<T, 'onRetry' | 'backoff' | 'budget' | Optional>> &
    Pick<T, 'onRetry' | Optional> & { backoff: Whole<Backoff> }
>
interface Budgeted {
  readonly budget: Whole<BudgetOptions> | false
}

/** @internal */
export type ResolvedAzure = Resolved<AzureStorageOptions, StorageBackoff, 'secondary'> & Budgeted
/** @internal */
export type ResolvedS3 = Resolved<S3Options, S3Backoff>
/** @internal */
export type ResolvedGcs = Resolved<GcsOptions, StorageBackoff> & Budgeted

/** @internal @throws InvalidOptionError */
export function resolveAzure(options: AzureStorageOptions): ResolvedAzure {
  check('azureStorage', options, azureChecks)
  return {
    ...azureDefaults,
    ...withoutUndefined(options),
    backoff: backoffOf('azureStorage', options, azureDefaults, backoffChecks),
    budget: budgetOf('azureStorage', options),
  }
}

/** @internal @throws InvalidOptionError */
export function resolveS3(options: S3Options): ResolvedS3 {
  check('s3', options, s3Checks)
  return {
    ...s3Defaults,
    ...withoutUndefined(options),
    backoff: backoffOf('s3', options, s3Defaults, { ...backoffChecks, throttled: time }),
  }
}

/** @internal @throws InvalidOptionError */
export function resolveGcs(options: GcsOptions): ResolvedGcs {
  check('gcs', options, gcsChecks)
  return {
    ...gcsDefaults,
    ...withoutUndefined(options),
    backoff: backoffOf('gcs', options, gcsDefaults, backoffChecks),
    budget: budgetOf('gcs', options),
  }
}

function backoffOf<B extends object>(
  path: string,
  options: { readonly backoff?: B },
  defaults: { readonly backoff: Whole<B> },
  checks: Checks<B>,
): Whole<B> {
  const { backoff: given = {} as B } = options
  check(`${path}.backoff`, given, checks)
  return { ...defaults.backoff, ...withoutUndefined(given) }
}

function budgetOf(path: string, { budget: given = {} }: BudgetedOptions): Whole<BudgetOptions> | false {
  if (given === false) return false
  check(`${path}.budget`, given, budgetChecks)
  return { ...budgetDefaults, ...withoutUndefined(given) }
}
