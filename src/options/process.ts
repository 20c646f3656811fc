/** Options of a whole process. */
import { InvalidOptionError } from '../errors.ts'
import { agentsKnowProxies, proxiesNeed } from '../node-version.ts'
import { boolean, check, type Checks, withoutUndefined } from './check.ts'
import { clientChecks, type ClientOptions, connectionOptions, refuse } from './clients.ts'
import { resolveDrain, resolveQueue } from './limits.ts'

/** Options of {@link install}: one client for the whole process. */
export interface InstallOptions extends Pick<
  ClientOptions,
  | 'connections'
  | 'maxOrigins'
  | 'keepAlive'
  | 'connectionLifetime'
  | 'http2'
  | 'proxy'
  | 'tls'
  | 'drain'
  | 'queue'
  | 'leaks'
> {
  /** Puts our own fetch in the place of `globalThis.fetch`, too. @default false (Node's stays, on our connections) */
  fetch?: boolean
  /** Puts our agents in the place of `http.globalAgent` and `https.globalAgent`. @default true */
  http?: boolean
}

export const installDefaults = {
  fetch: false,
  http: true,
} as const

const { connections, maxOrigins, keepAlive, connectionLifetime, http2, proxy, tls, drain, queue, leaks } =
  clientChecks
const installChecks: Checks<InstallOptions> = {
  connections,
  maxOrigins,
  keepAlive,
  connectionLifetime,
  http2,
  proxy,
  tls,
  drain,
  queue,
  leaks,
  fetch: boolean,
  http: boolean,
}

/** @internal */
export type ResolvedInstall = InstallOptions & Required<Pick<InstallOptions, 'fetch' | 'http'>>

/**
 * Checked options of the whole process.
 * @throws InvalidOptionError
 */
export function resolveInstall(options: InstallOptions = {}): ResolvedInstall {
  check('options', options, installChecks)
  resolveDrain(options.drain)
  resolveQueue(options.queue)
  const { proxy, http = installDefaults.http } = options
  if (http && proxy !== undefined && proxy !== false && !agentsKnowProxies())
    throw new InvalidOptionError('proxy', `Option proxy cannot be combined with http: true: ${proxiesNeed()}`)
  return { ...installDefaults, ...withoutUndefined(options) }
}

/** @internal A dispatcher that somebody has set for the whole process cannot be given these any more. */
export function refuseConnectionOptions(options: InstallOptions): void {
  refuse(options, connectionOptions, 'the global dispatcher that was set before: set it on that one')
}
