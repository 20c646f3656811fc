/** Options of a client: their types, defaults and checks, and which exclude each other. */
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Dispatcher } from 'undici'
import { InvalidOptionError } from '../errors.ts'
import {
  aFunction,
  boolean,
  bytes,
  check,
  type Check,
  type Checks,
  isObject,
  object,
  positive,
  someTime,
  text,
  withoutUndefined,
} from './check.ts'
import {
  type DrainOptions,
  type QueueOptions,
  type ResolvedDrain,
  resolveDrain,
  resolveQueue,
  resolveTimeouts,
  type TimeoutOptions,
  type Timeouts,
} from './limits.ts'
import { type HedgeOptions, hedgeCheck, retryCheck, type Retry } from './retry.ts'

/**
 * Which calls are remembered, so that a body nobody ended is reported with the place of its call: none (and no report either), a sample,
 * or all; `throw` is for tests: all, and each leak is thrown, by `close()` or where nobody can catch it.
 */
export type LeakMode = 'off' | 'sample' | 'all' | 'throw'

/** Options of the sockets themselves, as `net.connect` takes them; behind a proxy, of those to the proxy. */
export interface ConnectOptions {
  /** Local address to connect from. */
  localAddress?: string
  /** Path of a Unix domain socket to use instead of TCP. */
  socketPath?: string
  /** Try IPv6 and IPv4 at once (RFC 8305). @default Node's own default */
  autoSelectFamily?: boolean
  /** Look-up function of `dns.lookup`'s shape. */
  lookup?: NonNullable<ConnectionOptions['lookup']>
}

/** A function with the shape of `fetch`, whoever made it and whatever classes it uses. */
export type FetchLike = (input: never, init?: never) => PromiseLike<object>

/** Options of {@link createClient}: one remote service, one bounded pool per origin. */
export interface ClientOptions {
  /** Name in statistics and events. @default the origin, or 'default' */
  name?: string
  /** Base for relative URLs, for example `https://acct.blob.core.windows.net`. */
  origin?: string | URL
  /** Headers sent with every request that does not set them itself. */
  headers?: Record<string, string>
  /** Connections per origin. @default 128 (enough for any one service; without a limit a burst opens a socket per call) */
  connections?: number
  /** Different origins this client may talk to. @default no limit */
  maxOrigins?: number
  /** Milliseconds an idle connection is kept, unless the server's hint says less. @default 30000 (below the 60 s and more of load balancers) */
  keepAlive?: number
  /** Milliseconds after which a connection takes no new request. @default no limit */
  connectionLifetime?: number
  /** Use HTTP/2 where an https server offers it. @default true */
  http2?: boolean
  /** 'env' reads HTTP_PROXY, HTTPS_PROXY (SOCKS 5 too) and NO_PROXY; a URL names the proxy; false uses none. @default false (as undici) */
  proxy?: 'env' | (string & {}) | URL | false
  /** TLS options, as `tls.connect` takes them. */
  tls?: ConnectionOptions
  /** Options of the sockets. */
  connect?: ConnectOptions
  /** A dispatcher of your own instead of all connection options above; it stays yours to close. */
  dispatcher?: Dispatcher
  /** A fetch of somebody else's that makes the calls, instead of a pool and all connection options above. */
  fetch?: FetchLike
  /** Limits for bodies that nobody reads. */
  drain?: DrainOptions
  /** Time limits of every call. */
  timeout?: TimeoutOptions
  /** Reports of requests that wait for a connection. */
  queue?: QueueOptions
  /**
   * Reports of bodies that nobody read, cancelled or disposed of: `off`, `sample`, `all`, or `throw` for tests.
   * @default 'sample' (names a leak that repeats, for less than one per cent of a small call)
   */
  leaks?: LeakMode
  /**
   * When calls are sent again: true, a number of attempts, options, or a policy of `drained/storage`.
   * @default false (as fetch; a call that died on an idle connection is sent again all the same)
   */
  retry?: Retry
  /** Sends an idempotent request a second time if it has no answer after a while; the first answer wins. @default false */
  hedge?: HedgeOptions | false
  /** Bytes, decoded, of a body read whole (`json()`, `text()`, ...); more is refused. `body` itself has no limit. @default no limit */
  maxResponseSize?: number
  /** Undo the content codings of a body (gzip, deflate, br, zstd); false hands it on as it came. @default true (as fetch) */
  decompress?: boolean
}

/** Options of {@link wrap}: those of a client that do not need a pool of its own. */
export type WrapOptions = Omit<ClientOptions, (typeof poolOptions)[number] | 'fetch'>

export const clientDefaults = {
  connections: 128,
  keepAlive: 30_000,
  http2: true,
  proxy: false,
  decompress: true,
  leaks: 'sample',
} as const

const isHeaders = (value: unknown): boolean => {
  if (!isObject(value)) return false
  try {
    void new Headers(value as Record<string, string>)
  } catch {
    return false
  }
  return Object.values(value).every((each) => typeof each === 'string')
}
const isHttpUrl = (value: unknown): boolean => {
  const url = value instanceof URL ? value : typeof value === 'string' ? URL.parse(value) : null
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:')
}

const connectChecks: Checks<ConnectOptions> = {
  localAddress: { accepts: 'an IP address', ok: (value) => typeof value === 'string' && isIP(value) !== 0 },
  socketPath: text,
  autoSelectFamily: boolean,
  lookup: aFunction,
}

/** Whatever undici's fetch takes for one. */
const canDispatch: Check = {
  accepts: 'an undici Dispatcher (an object with dispatch)',
  ok: (value) => typeof (value as Dispatcher | null)?.dispatch === 'function',
}

/** @internal */
export const clientChecks: Checks<ClientOptions> = {
  name: text,
  origin: { accepts: 'an http: or https: URL', ok: isHttpUrl },
  headers: {
    accepts: 'an object whose values are strings, with valid names and values (RFC 9110, 5.5)',
    ok: isHeaders,
    hides: true,
  },
  connections: positive,
  maxOrigins: positive,
  keepAlive: someTime,
  connectionLifetime: someTime,
  http2: boolean,
  proxy: {
    accepts: "'env', an http: or https: URL, or false",
    ok: (value) => value === 'env' || value === false || isHttpUrl(value),
  },
  tls: object,
  connect: object,
  dispatcher: canDispatch,
  fetch: aFunction,
  drain: object,
  timeout: object,
  queue: object,
  leaks: {
    accepts: "'off', 'sample', 'all' or 'throw'",
    ok: (value) => ['off', 'sample', 'all', 'throw'].includes(value as string),
  },
  retry: retryCheck,
  hedge: hedgeCheck,
  maxResponseSize: bytes,
  decompress: boolean,
}

/** @internal Connection options that a dispatcher of the user's own would silently overrule. */
export const connectionOptions = [
  'connections',
  'maxOrigins',
  'keepAlive',
  'connectionLifetime',
  'http2',
  'proxy',
  'tls',
  'connect',
] as const

/** What a fetch of somebody else's would silently overrule. */
const poolOptions: readonly [...typeof connectionOptions, 'dispatcher', 'decompress', 'queue'] = [
  ...connectionOptions,
  'dispatcher',
  'decompress',
  'queue',
]

/** @internal */
export type ResolvedClient = ClientOptions & {
  readonly drain: ResolvedDrain
  readonly name: string
  readonly timeout: Timeouts
  readonly queue: Readonly<Required<QueueOptions>>
  readonly leaks: LeakMode
}

/**
 * Checked client options.
 * @throws InvalidOptionError
 */
export function resolveClient(options: ClientOptions = {}): ResolvedClient {
  check('options', options, clientChecks)
  if (options.connect !== undefined) check('connect', options.connect, connectChecks)
  if (options.dispatcher !== undefined) {
    const reason = 'dispatcher: set it on the dispatcher you pass'
    refuse(options, connectionOptions, reason)
    refuse(options.timeout ?? {}, ['connect'], reason, 'timeout')
  }
  if (options.fetch !== undefined) {
    refuse(
      options,
      poolOptions,
      'fetch: connections, their queue and content codings are those of the fetch you pass',
    )
    refuseUnseen(options.timeout, 'timeout')
  }
  const given = withoutUndefined(options)
  const name = options.name ?? (options.origin === undefined ? 'default' : new URL(options.origin).origin)
  return {
    ...given,
    name,
    drain: resolveDrain(options.drain),
    timeout: resolveTimeouts(options.timeout ?? {}),
    // When a fetch of somebody else's has a connection cannot be seen.
    queue: options.fetch === undefined ? resolveQueue(options.queue) : { warn: Infinity },
    leaks: options.leaks ?? clientDefaults.leaks,
  }
}

/**
 * The checked member of an init.
 * @throws InvalidOptionError
 */
export function resolveDecompress(decompress: boolean): boolean {
  check('init', { decompress }, { decompress: boolean })
  return decompress
}

/** @internal undici's fetch takes whatever can dispatch, so one call does, too. */
export function resolveDispatcher(dispatcher: Dispatcher): Dispatcher {
  check('init', { dispatcher }, { dispatcher: canDispatch })
  return dispatcher
}

/** @internal */
export function refuse(options: object, names: readonly string[], reason: string, path?: string): void {
  const found = names.find((each) => (options as Record<string, unknown>)[each] !== undefined)
  if (found === undefined) return
  const name = path === undefined ? found : `${path}.${found}`
  throw new InvalidOptionError(name, `Option ${name} cannot be combined with ${reason}`)
}

/** @internal Of a fetch of somebody else's only its answer can be seen, not the connection it waits for. */
export function refuseUnseen(timeout: TimeoutOptions = {}, path: string): void {
  refuse(timeout, ['connect', 'queue'], 'fetch: when it has a connection cannot be seen', path)
}
