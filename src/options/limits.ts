/** Limits on bodies, on time and on waiting: their types, defaults and checks. */
import { InvalidOptionError } from '../errors.ts'
import { bytes, check, type Checks, limit, time, withoutUndefined } from './check.ts'

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

/** @internal Limits that were given; Infinity is none, undici's own included. */
export type Timeouts = Readonly<TimeoutOptions>

/**
 * Checked time limits of a client.
 * @throws InvalidOptionError
 */
export function resolveTimeouts(options: TimeoutOptions): Timeouts {
  check('timeout', options, timeoutChecks)
  return withoutZero(options)
}

/**
 * Checked time limits of a call, laid over those of its client.
 * @throws InvalidOptionError
 */
export function resolveCallTimeouts(given: number | TimeoutOptions, defaults: Timeouts = {}): Timeouts {
  const options = typeof given === 'number' ? { total: given } : given
  check('init.timeout', options, timeoutChecks)
  if (options.connect !== undefined)
    throw new InvalidOptionError(
      'init.timeout.connect',
      'Option init.timeout.connect is for a whole client only, since calls share connections',
    )
  return { ...defaults, ...withoutZero(options) }
}

function withoutZero(options: TimeoutOptions): Timeouts {
  const given = Object.entries(withoutUndefined(options)) as [string, number][]
  return Object.fromEntries(given.map(([name, value]) => [name, value === 0 ? Infinity : value]))
}
