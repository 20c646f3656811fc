/** Every error of this library: typed, with a stable `code`. Failures of the network stay fetch's `TypeError` with a `cause`. */

/** An option or argument that is not accepted. The message names it, its value and what is accepted. */
export class InvalidOptionError extends TypeError {
  override readonly name = 'InvalidOptionError'
  readonly code = 'ERR_DRAINED_INVALID_OPTION'
  /** Full path of the option, for example `drain.maxTime`. */
  readonly option: string

  constructor(option: string, message: string) {
    super(message)
    this.option = option
  }
}

/** What was known of a body when it was taken back. */
export interface ReclaimedBody {
  /** Origin of the response, for example `https://acct.blob.core.windows.net`. */
  readonly origin: string
  /** Milliseconds the body had waited untouched. */
  readonly age: number
  /** Bytes of the body received until then. */
  readonly received: number
  /** Where the request was made, when that was captured. */
  readonly callSite?: string
}

/**
 * A body nobody had touched was given up because other requests were waiting for its connection (or its client was
 * closing). A reader who comes later gets this error, never a short body.
 */
export class BodyReclaimedError extends Error implements ReclaimedBody {
  override readonly name = 'BodyReclaimedError'
  readonly code = 'ERR_DRAINED_BODY_RECLAIMED'
  readonly origin: string
  readonly age: number
  readonly received: number
  declare readonly callSite?: string

  constructor(body: ReclaimedBody) {
    const site = body.callSite === undefined ? '' : `, requested at ${body.callSite}`
    super(
      `The response body from ${body.origin} was given up after ${Math.round(body.age)} ms untouched ` +
        `(${body.received} bytes received${site}): other requests waited for its connection, or its client was closing. ` +
        'Read, cancel or discard() every response.',
    )
    this.origin = body.origin
    this.age = body.age
    this.received = body.received
    if (body.callSite !== undefined) this.callSite = body.callSite
  }
}

/** A body was given up: by its reader without a reason of its own, by the garbage collector, or because its client was closed. */
export class BodyGivenUpError extends Error {
  override readonly name: string = 'AbortError'
  readonly code = 'ERR_DRAINED_BODY_GIVEN_UP'
  /** Nobody referred to its Response any more. */
  readonly isCollected: boolean

  constructor(message = 'The response body was given up', isCollected = false) {
    super(message)
    this.isCollected = isCollected
  }
}

/** The parts of a call that have a time limit of their own. */
export type Phase = 'connect' | 'queue' | 'headers' | 'body' | 'attempt' | 'total'

/** What held the connections of a pool when a request had waited for one too long. */
export interface BusyPool {
  /** Name of the client. */
  readonly name: string
  readonly origin: string
  /** Connections it may have; undefined if that is not known (a dispatcher of your own). */
  readonly limit: number | undefined
  /** Responses whose body had begun and still held a connection. */
  readonly open: number
  /** The oldest of them. */
  readonly oldest?: {
    /** Milliseconds since its headers came. */
    readonly age: number
    /** URL of its request, credentials and signatures redacted. */
    readonly url: string
  }
}

function describe({ name, origin, limit, open, oldest }: BusyPool): string {
  const size = limit === undefined ? '' : `, at most ${limit} ${limit === 1 ? 'connection' : 'connections'}`
  const bodies = open === 0 ? 'no body' : open === 1 ? '1 body' : `${open} bodies`
  const which = oldest === undefined ? '' : `, the oldest for ${Math.round(oldest.age)} ms: ${oldest.url}`
  return `. Pool "${name}" of ${origin}${size}: ${bodies} open${which}`
}

/** A part of a call took longer than allowed. Its name is that of `AbortSignal.timeout()`'s errors. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
  readonly code = 'ERR_DRAINED_TIMEOUT'
  readonly phase: Phase
  /** Milliseconds that were allowed. */
  readonly limit: number
  /** URL of the request, credentials and signatures redacted. */
  readonly url: string
  /** What the request waited for; of phase `queue` only. */
  declare readonly pool?: BusyPool

  constructor(
    phase: Phase,
    limit: number,
    method: string,
    url: string,
    { pool, ...options }: ErrorOptions & { pool?: BusyPool | undefined } = {},
  ) {
    const why = pool === undefined ? '' : describe(pool)
    super(`${method} ${url} took longer than the ${limit} ms of timeout.${phase}${why}`, options)
    if (pool !== undefined) this.pool = pool
    this.phase = phase
    this.limit = limit
    this.url = url
  }
}

/** `services.fetch` was given a URL that belongs to no service, and there is none named `default`. Nothing was sent. */
export class UnknownOriginError extends TypeError {
  override readonly name = 'UnknownOriginError'
  readonly code = 'ERR_DRAINED_UNKNOWN_ORIGIN'
  /** Scheme, host and port; of a URL without a host only the scheme. */
  readonly origin: string
  /** Origins that have a service. */
  readonly known: readonly string[]

  /** @param services the name of its service by origin */
  constructor(origin: string, services: ReadonlyMap<string, string>) {
    const list = Array.from(services, ([each, name]) => `${each} (${name})`).join(', ')
    super(`No service for ${origin}. Known: ${list === '' ? 'none' : list}`)
    this.origin = origin
    this.known = [...services.keys()]
  }
}

/** What an error says of a leak. */
export interface LeakedBody {
  readonly method: string
  readonly origin: string
  /** Redacted. */
  readonly path: string
  readonly status: number
  /** Who found it: the garbage collector, the reclaim, or the end of its client. */
  readonly foundBy: 'collector' | 'reclaim' | 'client'
  /** `function (file:line:column)` of the call, if it is known. */
  readonly callSite: string | undefined
}

/** A body was found that nobody had read, cancelled or disposed of. Makes a test fail. */
export class BodyLeakedError extends Error implements LeakedBody {
  override readonly name = 'BodyLeakedError'
  readonly code = 'ERR_DRAINED_BODY_LEAKED'
  readonly method: string
  readonly origin: string
  readonly path: string
  readonly status: number
  readonly foundBy: LeakedBody['foundBy']
  readonly callSite: string | undefined

  constructor({ method, origin, path, status, foundBy, callSite }: LeakedBody) {
    super(
      `The body of ${method} ${origin}${path} (${status}), requested at ${callSite ?? 'an unknown place'}, ` +
        `was neither read, cancelled nor disposed of; found by the ${foundBy}`,
    )
    this.method = method
    this.origin = origin
    this.path = path
    this.status = status
    this.foundBy = foundBy
    this.callSite = callSite
  }
}

/** A decoded body was larger than `maxResponseSize`. */
export class ResponseTooLargeError extends Error {
  override readonly name = 'ResponseTooLargeError'
  readonly code = 'ERR_DRAINED_RESPONSE_TOO_LARGE'
  /** Bytes that were allowed. */
  readonly limit: number

  constructor(limit: number) {
    super(`The response body is larger than the ${limit} bytes of maxResponseSize`)
    this.limit = limit
  }
}

/** Stands for a response that was given up for another attempt, among the `errors` of an error that follows several. */
export class RetriedResponseError extends Error {
  override readonly name = 'RetriedResponseError'
  readonly code = 'ERR_DRAINED_RETRIED_RESPONSE'
  readonly status: number
  /** URL of the request, credentials and signatures redacted. */
  readonly url: string

  constructor(status: number, url: string) {
    super(`${url} was answered with ${status}`)
    this.status = status
    this.url = url
  }
}

/**
 * A request has failed, and cannot be tried again, although it would have been: its body was a stream, which is sent now. Its `cause` is the
 * network's error. Pass `body: () => stream`, which is called for each attempt.
 */
export class BodyNotReplayableError extends TypeError {
  override readonly name = 'BodyNotReplayableError'
  readonly code = 'ERR_DRAINED_BODY_NOT_REPLAYABLE'

  /** @param error of fetch */
  constructor(error: unknown) {
    super('fetch failed, and its body is a stream that cannot be sent again: pass body: () => stream', {
      cause: (error as Error | undefined)?.cause ?? error,
    })
  }
}

/** What the error of a call has, besides its own, that was tried more than once. */
export interface RetriedError extends Error {
  /** Of the attempts before, oldest first: what they failed with, or a {@link RetriedResponseError}. */
  readonly errors: readonly unknown[]
  /** Attempts altogether. */
  readonly attempts: number
  /** Milliseconds since the call. */
  readonly elapsed: number
}
