/** Every option: its type, unit, default (with the reason for it) and check. No other file has a default. */
import type { ConnectionOptions } from 'node:tls'
import type { Dispatcher } from 'undici'
import { InvalidOptionError } from './errors.ts'
import {
  boolean,
  bytes,
  check,
  type Checks,
  isObject,
  limit,
  object,
  positive,
  someTime,
  text,
  time,
  withoutUndefined,
  aFunction,
  anything,
} from './options/check.ts'
import { type HedgeOptions, hedgeCheck, retryCheck, type Retry } from './options/retry.ts'

/** Limits on what is received, kept and dropped for bodies that nobody reads. */
export interface DrainOptions {
  /**
   * Bytes of one body received ahead while nobody reads it, so that its connection is free again.
   * A body known to be longer waits under back-pressure. 0 keeps nothing ahead.
   * @default 1048576 (1 MiB: an answer of a REST service fits, and so does a page of a listing)
   */
  readAhead?: number
  /**
   * Bytes held ahead by all bodies of the process together.
   * @default 67108864 (64 MiB: half of what 128 connections could ask for, and small beside Node's own heap)
   */
  memory?: number
  /**
   * Bytes of the rest of a given-up body that are read and dropped, framing included, to keep its connection.
   * 0 keeps a connection only if everything has arrived.
   * @default 1048576 (1 MiB, as .NET)
   */
  maxBytes?: number
  /**
   * Milliseconds the rest of a given-up body may take, in total.
   * @default 2000 (2 s, as .NET: long enough for a slow link, short enough that nothing piles up)
   */
  maxTime?: number
  /**
   * Milliseconds a body nobody touched may keep its connection while other requests wait for one.
   * @default 10000 (10 s: far longer than a program needs to get from the headers to the body)
   */
  stall?: number
}

/**
 * Time limits in milliseconds; 0 and Infinity mean none. Each ends the call, or its body, with a `TimeoutError` that names it.
 * @default none, but for undici's own: 10 s to connect, 300 s for the headers and between two parts of a body
 */
export interface TimeoutOptions {
  /** From the end of the queue until a connection (TCP and TLS) stands. For a whole client only. */
  connect?: number
  /** From the call, or from a redirect, until its request has a connection: waiting in the queue, and connecting. */
  queue?: number
  /** From the request being sent until the headers of the response. */
  headers?: number
  /** Without progress, while somebody reads the body. */
  body?: number
  /** From the start of an attempt until the headers of its response: queue, connecting and sending included. */
  attempt?: number
  /** From the call until the end of the body, whatever happens in between: all attempts, and the waits between them. */
  total?: number
}

/** When waiting for a connection is worth a report. */
export interface QueueOptions {
  /**
   * Milliseconds a request may wait for a connection until `drained:starvation` says who keeps them; 0 and Infinity: it never does.
   * @default 5000 (5 s: long after a burst is served, and before `drain.stall` takes the first body back)
   */
  warn?: number
}

/**
 * Which calls are remembered, so that a body nobody ended is reported with the place of its call: none (and no report either), a sample,
 * or all; `throw` is for tests: all, and each leak is thrown, by `close()` or where nobody can catch it.
 */
export type LeakMode = 'off' | 'sample' | 'all' | 'throw'

/** Options of the sockets themselves, as `net.connect` takes them. */
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
  /** 'env' reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY; a URL names the proxy; false uses none. @default false (as undici) */
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

/** Options of one service of {@link createServices}: those of its client, and what is routed to it. */
export interface ServiceOptions extends ClientOptions {
  /** Further origins whose URLs go to this service; only scheme, host and port count. @default none but `origin` */
  origins?: readonly (string | URL)[]
}

/** Options of {@link wrap}: those of a client that do not need a pool of its own. */
export type WrapOptions = Omit<ClientOptions, (typeof poolOptions)[number] | 'fetch'>

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

/** Options of an agent for node:http beside Node's own. */
export interface DrainedAgentOptions {
  /** Name in statistics and events. @default 'agent' */
  name?: string
  /** Limits for bodies that nobody reads. */
  drain?: DrainOptions
}

export const MiB: number = 1024 * 1024

export const drainDefaults: Required<DrainOptions> = {
  readAhead: MiB,
  memory: 64 * MiB,
  maxBytes: MiB,
  maxTime: 2_000,
  stall: 10_000,
}

export const queueDefaults: Required<QueueOptions> = {
  warn: 5_000,
}

export const agentDefaults = { name: 'agent', keepAlive: true } as const

export const clientDefaults = {
  connections: 128,
  keepAlive: 30_000,
  http2: true,
  proxy: false,
  decompress: true,
  leaks: 'sample',
} as const

export const installDefaults = {
  fetch: false,
  http: true,
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

const drainChecks: Checks<DrainOptions> = {
  readAhead: bytes,
  memory: bytes,
  maxBytes: bytes,
  maxTime: time,
  stall: time,
}

const queueChecks: Checks<QueueOptions> = { warn: limit }

const timeoutChecks: Checks<TimeoutOptions> = {
  connect: limit,
  queue: limit,
  headers: limit,
  body: limit,
  attempt: limit,
  total: limit,
}

const connectChecks: Checks<ConnectOptions> = {
  localAddress: text,
  socketPath: text,
  autoSelectFamily: boolean,
  lookup: aFunction,
}

const clientChecks: Checks<ClientOptions> = {
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
  dispatcher: {
    accepts: 'an undici Dispatcher (an object with dispatch and compose)',
    ok: (value) =>
      typeof (value as Dispatcher | null)?.dispatch === 'function' &&
      typeof (value as Dispatcher).compose === 'function',
  },
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

/** Connection options that a dispatcher of the user's own would silently overrule. */
const connectionOptions = [
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
export type ResolvedDrain = Readonly<Required<DrainOptions>>

/**
 * Checked drain options with every default filled in.
 * @throws InvalidOptionError
 */
export function resolveDrain(options: DrainOptions = {}, path = 'drain'): ResolvedDrain {
  check(path, options, drainChecks)
  return { ...drainDefaults, ...withoutUndefined(options) }
}

/**
 * Checked options of the queue with every default filled in; no limit is Infinity.
 * @throws InvalidOptionError
 */
export function resolveQueue(options: QueueOptions = {}): Readonly<Required<QueueOptions>> {
  check('queue', options, queueChecks)
  const { warn = queueDefaults.warn } = options
  return { warn: warn === 0 ? Infinity : warn }
}

/** @internal Limits that are set. */
export type Timeouts = Readonly<TimeoutOptions>

/**
 * Checked time limits, without those that mean none.
 * @param defaults what holds for those that are not given
 * @throws InvalidOptionError
 */
export function resolveTimeouts(
  options: TimeoutOptions,
  path = 'timeout',
  defaults: Timeouts = {},
): Timeouts {
  check(path, options, timeoutChecks)
  if (path !== 'timeout' && options.connect !== undefined)
    throw new InvalidOptionError(
      `${path}.connect`,
      `Option ${path}.connect is for a whole client only, since calls share connections`,
    )
  return Object.fromEntries(
    Object.entries({ ...defaults, ...withoutUndefined(options) }).filter(
      ([, value]: [string, unknown]) => value !== 0 && value !== Infinity,
    ),
  )
}

/**
 * The checked member of an init.
 * @throws InvalidOptionError
 */
export function resolveDecompress(decompress: boolean): boolean {
  check('init', { decompress }, { decompress: boolean })
  return decompress
}

/** @internal */
export type ResolvedClient = ClientOptions & {
  readonly drain: ResolvedDrain
  readonly name: string
  readonly timeout: Timeouts
  readonly queue: Readonly<Required<QueueOptions>>
  readonly leaks: LeakMode
}

/** @internal */
export interface ResolvedService {
  readonly client: ClientOptions
  /** The origins that are routed to it, each with the option that says so. */
  readonly claims: readonly (readonly [option: string, origin: string])[]
}

/** @throws InvalidOptionError if it is not an object with an entry for each service */
export function checkServices(services: object): void {
  if (!isObject(services))
    throw new InvalidOptionError(
      'services',
      'services must be a plain object with an entry for each service, its name and its options',
    )
}

/**
 * Options of one service, checked as far as they are not made of others, and what it claims.
 * @throws InvalidOptionError
 */
export function resolveService(options: ServiceOptions): ResolvedService {
  const list = { accepts: 'an array of http: or https: URLs', ok: Array.isArray }
  check('options', options, { ...clientChecks, origins: list })
  const { origins = [], ...client } = options
  const listed = Object.entries(origins)
  // One by one, so that the error names the one that is wrong; `undefined` would pass for an option that is not given.
  const each = Object.fromEntries(listed.map(([at, url]) => [at, (url as string | undefined) ?? null]))
  check('origins', each, Object.fromEntries(listed.map(([at]) => [at, clientChecks.origin])))
  const claims = listed.map(([at, url]): [string, string] => [`origins.${at}`, new URL(url).origin])
  if (client.origin !== undefined) claims.unshift(['origin', new URL(client.origin).origin])
  return { client, claims }
}

/**
 * Checked client options.
 * @throws InvalidOptionError
 */
export function resolveClient(options: ClientOptions = {}): ResolvedClient {
  check('options', options, clientChecks)
  if (options.connect !== undefined) check('connect', options.connect, connectChecks)
  if (options.dispatcher !== undefined)
    refuse(options, connectionOptions, 'dispatcher: set it on the dispatcher you pass')
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
  return { ...installDefaults, ...withoutUndefined(options) }
}

/** @internal A dispatcher that somebody has set for the whole process cannot be given these any more. */
export function refuseConnectionOptions(options: InstallOptions): void {
  refuse(options, connectionOptions, 'the global dispatcher that was set before: set it on that one')
}

function refuse(options: object, names: readonly string[], reason: string): void {
  const name = names.find((each) => (options as Record<string, unknown>)[each] !== undefined)
  if (name !== undefined)
    throw new InvalidOptionError(name, `Option ${name} cannot be combined with ${reason}`)
}

/** @internal Of a fetch of somebody else's only its answer can be seen, not the connection it waits for. */
export function refuseUnseen(timeout: TimeoutOptions = {}, path: string): void {
  for (const name of ['connect', 'queue'] as const) {
    if (timeout[name] !== undefined)
      throw new InvalidOptionError(
        `${path}.${name}`,
        `Option ${path}.${name} cannot be combined with fetch: when it has a connection cannot be seen`,
      )
  }
}

/**
 * Checked options of an agent for node:http: ours, and those that are Node's, which Node itself checks.
 * @throws InvalidOptionError
 */
export function resolveAgent<T extends object>(
  options: T & DrainedAgentOptions,
  nodeNames: readonly string[],
): { name: string; drain: ResolvedDrain; node: T } {
  const checks = {
    name: text,
    drain: object,
    ...Object.fromEntries(nodeNames.map((name) => [name, anything])),
  }
  check('options', options, checks as unknown as Checks<T>)
  const { name = agentDefaults.name, drain, ...rest } = options
  return {
    name,
    drain: resolveDrain(drain),
    node: {
      keepAlive: agentDefaults.keepAlive,
      maxSockets: clientDefaults.connections,
      ...withoutUndefined(rest),
    } as unknown as T,
  }
}
