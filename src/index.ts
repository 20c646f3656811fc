/** The public names, one by one. */
import './node-version.ts'

export { wrap } from './adapters/wrap.ts'
export { createClient, fetch, type Client, type ClientStats } from './client.ts'
export { discard, type Discarded } from './discard.ts'
export {
  BodyGivenUpError,
  BodyLeakedError,
  BodyNotReplayableError,
  BodyReclaimedError,
  type BusyPool,
  InvalidOptionError,
  type LeakedBody,
  type Phase,
  type ReclaimedBody,
  type RetriedError,
  RetriedResponseError,
  ResponseTooLargeError,
  TimeoutError,
  UnknownOriginError,
} from './errors.ts'
export type {
  BodyEvent,
  CallSite,
  ConnectionEvent,
  EndedBy,
  Events,
  FoundBy,
  GaveUp,
  Holder,
  HolderState,
  LeakEvent,
  Outcome,
  Reason,
  ReclaimEvent,
  RequestEvent,
  RetryEvent,
  StarvationEvent,
  WaitEvent,
} from './events.ts'
export type { Fetch, FetchInit } from './fetch/fetch.ts'
export type {
  ClientOptions,
  ConnectOptions,
  DrainOptions,
  FetchLike,
  InstallOptions,
  LeakMode,
  QueueOptions,
  ServiceOptions,
  TimeoutOptions,
  WrapOptions,
} from './options.ts'
export type {
  AttemptOutcome,
  BackoffOptions,
  BudgetOptions,
  HedgeOptions,
  NextAttempt,
  Retry,
  RetryBudget,
  RetryNotice,
  RetryOptions,
  RetryPolicy,
} from './options/retry.ts'
export type { RetryStats } from './retry/retries.ts'
export { install, type Installed } from './process/install.ts'
export { createServices, type ServiceRouter, type Services, type ServicesOptions } from './services.ts'
export { drain } from './wire/drain.ts'
export type { OriginStats, Stats, WireStats } from './wire/stats.ts'
