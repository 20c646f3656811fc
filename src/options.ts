/** Every option: its type, unit, default (with the reason for it) and check. No other file has a default. */
import type { ConnectionOptions } from 'node:tls'
import type { Dispatcher } from 'undici'
import { InvalidOptionError } from './errors.ts'

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
  /** From the call until the end of the body, whatever happens in between. */
  total?: number
}

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
  /** Bytes, decoded, of a body read whole (`json()`, `text()`, ...); more is refused. `body` itself has no limit. @default no limit */
  maxResponseSize?: number
}

/** Options of {@link wrap}: those of a client that do not need a pool of its own. */
export type WrapOptions = Omit<ClientOptions, (typeof poolOptions)[number] | 'fetch'>

/** Options of {@link install}: one client for the whole process. */
export interface InstallOptions extends Pick<
  ClientOptions,
  'connections' | 'maxOrigins' | 'keepAlive' | 'connectionLifetime' | 'http2' | 'proxy' | 'tls' | 'drain'
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

export const agentDefaults = { name: 'agent', keepAlive: true } as const

export const clientDefaults = {
  connections: 128,
  keepAlive: 30_000,
  http2: true,
  proxy: false,
} as const

export const installDefaults = {
  fetch: false,
  http: true,
} as const

interface Check {
  readonly accepts: string
  readonly ok: (value: unknown) => boolean
  /** Text in its place may be a secret. */
  readonly hides?: true
}
type Checks<T> = { readonly [K in keyof Required<T>]: Check }

/** Not a Map, a Headers or an array: their contents would be ignored. */
const isObject = (value: unknown): value is Record<string, unknown> => {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
const isHeaders = (value: unknown): boolean => {
  if (!isObject(value)) return false
  try {
    void new Headers(value as Record<string, string>)
  } catch {
    return false
  }
  return Object.values(value).every((each) => typeof each === 'string')
}
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
/** Node's timers hold 31 bits of milliseconds; more would fire at once. */
const isTime = (value: unknown): boolean =>
  typeof value === 'number' && value >= 0 && value <= 2_147_483_647 && !Number.isNaN(value)
const isHttpUrl = (value: unknown): boolean => {
  const url = value instanceof URL ? value : typeof value === 'string' ? URL.parse(value) : null
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:')
}

const bytes: Check = { accepts: 'a whole number of bytes, 0 or more', ok: isCount }
const time: Check = { accepts: 'milliseconds from 0 to 2147483647', ok: isTime }
const boolean: Check = { accepts: 'true or false', ok: (value) => typeof value === 'boolean' }
const text: Check = {
  accepts: 'a string that is not empty',
  ok: (value) => typeof value === 'string' && value !== '',
}
const anything: Check = { accepts: 'anything', ok: () => true }
const object: Check = { accepts: 'an object', ok: isObject, hides: true }
/** undici takes 0 for no limit, which nobody means by it. */
const someTime: Check = {
  accepts: 'milliseconds from 1 to 2147483647',
  ok: (value) => isTime(value) && (value as number) >= 1,
}
const aFunction: Check = { accepts: 'a function', ok: (value) => typeof value === 'function' }
const positive: Check = { accepts: 'a whole number, 1 or more', ok: (value) => isCount(value) && value !== 0 }

const drainChecks: Checks<DrainOptions> = {
  readAhead: bytes,
  memory: bytes,
  maxBytes: bytes,
  maxTime: time,
  stall: time,
}

/** What Node's timers can hold, or no limit. */
const limit: Check = {
  accepts: 'milliseconds from 0 to 2147483647, or Infinity',
  ok: (value) => isTime(value) || value === Infinity,
}

const timeoutChecks: Checks<TimeoutOptions> = {
  connect: limit,
  queue: limit,
  headers: limit,
  body: limit,
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
  maxResponseSize: bytes,
}

const { connections, maxOrigins, keepAlive, connectionLifetime, http2, proxy, tls, drain } = clientChecks
const installChecks: Checks<InstallOptions> = {
  connections,
  maxOrigins,
  keepAlive,
  connectionLifetime,
  http2,
  proxy,
  tls,
  drain,
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
const poolOptions: readonly [...typeof connectionOptions, 'dispatcher'] = [...connectionOptions, 'dispatcher']

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

/** @internal Limits that are set. */
export type Timeouts = Readonly<TimeoutOptions>

/**
 * Checked time limits, without those that mean none.
 * @throws InvalidOptionError
 */
export function resolveTimeouts(options: TimeoutOptions, path = 'timeout'): Timeouts {
  check(path, options, timeoutChecks)
  if (path !== 'timeout' && options.connect !== undefined)
    throw new InvalidOptionError(
      `${path}.connect`,
      `Option ${path}.connect is for a whole client only, since calls share connections`,
    )
  return Object.fromEntries(
    Object.entries(options).filter(
      ([, value]: [string, unknown]) => value !== undefined && value !== 0 && value !== Infinity,
    ),
  )
}

/** @internal */
export type ResolvedClient = ClientOptions & {
  readonly drain: ResolvedDrain
  readonly name: string
  readonly timeout: Timeouts
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
    refuse(options, poolOptions, 'fetch: the connections are those of the fetch you pass')
    refuseUnseen(options.timeout, 'timeout')
  }
  const given = withoutUndefined(options)
  const name = options.name ?? (options.origin === undefined ? 'default' : new URL(options.origin).origin)
  return {
    ...given,
    name,
    drain: resolveDrain(options.drain),
    timeout: resolveTimeouts(options.timeout ?? {}),
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

/** Refuses what is not an object, unknown names (with the nearest known one) and bad values. */
function check<T extends object>(path: string, options: T, checks: Checks<T>): void {
  if (!isObject(options)) {
    throw new InvalidOptionError(path, `${path} must be an object, got ${show(options, true)}`)
  }
  const prefix = path === 'options' ? '' : `${path}.`
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(checks, name) ? checks[name as keyof T] : undefined
    if (rule === undefined) {
      const known = Object.keys(checks)
      throw new InvalidOptionError(
        prefix + name,
        `Unknown option ${prefix}${name}: did you mean ${prefix}${nearest(name, known)}? Known: ${known.join(', ')}`,
      )
    }
    if (value !== undefined && !rule.ok(value)) {
      throw new InvalidOptionError(
        prefix + name,
        `Option ${prefix}${name} must be ${rule.accepts}, got ${show(value, rule.hides)}`,
      )
    }
  }
}

/** Of text that may hold a secret only as much as shows what is wrong with it. */
function show(value: unknown, hides = false): string {
  if (typeof value === 'string') return hides ? 'a string' : showText(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null)
    return value instanceof URL ? `the URL ${value.protocol}//${value.host}` : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}

function showText(text: string): string {
  const url = URL.parse(text)
  if (url !== null && url.host !== '') return `"${url.protocol}//${url.host}" and what follows`.slice(0, 100)
  return /^[\w.:/ -]{0,40}$/.test(text) && !text.includes('@') ? JSON.stringify(text) : 'other text'
}

/** The known name with the smallest edit distance to what was given. */
export function nearest(name: string, known: readonly string[]): string {
  let best = known[0] ?? ''
  let least = Infinity
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least) [best, least] = [candidate, distance]
  }
  return best
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next[j] = Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
    }
    row = next
  }
  return row[b.length] ?? 0
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
