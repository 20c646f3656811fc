/** The public names, one by one. */
import './node-version.ts'

export { wrap } from './adapters/wrap.ts'
export { createClient, fetch, type Client } from './client.ts'
export { discard, type Discarded } from './discard.ts'
export {
  BodyGivenUpError,
  BodyReclaimedError,
  InvalidOptionError,
  type Phase,
  type ReclaimedBody,
  ResponseTooLargeError,
  TimeoutError,
} from './errors.ts'
export type { BodyEvent, ConnectionEvent, EndedBy, Events, Outcome, Reason, ReclaimEvent } from './events.ts'
export type { Fetch, FetchInit } from './fetch/fetch.ts'
export type {
  ClientOptions,
  ConnectOptions,
  DrainOptions,
  FetchLike,
  InstallOptions,
  TimeoutOptions,
  WrapOptions,
} from './options.ts'
export { install, type Installed } from './process/install.ts'
export { drain } from './wire/drain.ts'
export type { ClientStats, OriginStats, Stats } from './wire/stats.ts'
