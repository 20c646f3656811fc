/** What this library tells the world: diagnostics channels, debug output, redaction. Costs nothing while nobody listens. */
import diagnostics from 'node:diagnostics_channel'
import createDebug from 'debug'

/** The three outcomes a body can have. */
export type Outcome = 'read' | 'drained' | 'closed'

/**
 * Why a body had its outcome.
 * - `complete`: read to its end.
 * - `received`: everything had arrived when it was given up; `ended`: the rest was read and dropped;
 *   `collected`: everything had arrived and the garbage collector found it.
 * - `bytes`, `time`: the rest was longer than allowed; `cost`: a new connection is cheaper; `unreusable`: the connection
 *   could not have been used again; `event-stream`: has no end; `closing`: its client closed; `http2`: the stream was
 *   reset and the connection stays; `failed`: the connection or the framing broke.
 */
export type Reason =
  | 'complete'
  | 'received'
  | 'ended'
  | 'collected'
  | 'bytes'
  | 'time'
  | 'cost'
  | 'unreusable'
  | 'event-stream'
  | 'closing'
  | 'http2'
  | 'failed'

/** Who ended a body: its reader, the reclaim, the client that closed, the garbage collector, or the wire (it failed). */
export type EndedBy = 'reader' | 'reclaim' | 'client' | 'collector' | 'wire'

/** Message of `drained:body`: one per body, when its outcome is known. */
export interface BodyEvent {
  readonly client: string
  readonly origin: string
  readonly method: string
  /** Path with credentials and signatures redacted. */
  readonly path: string
  readonly status: number
  readonly outcome: Outcome
  readonly reason: Reason
  readonly endedBy: EndedBy
  /** Bytes handed to the reader. */
  readonly read: number
  /** Bytes received and dropped. */
  readonly drained: number
  /** Bytes declared and never received, or undefined if the length was not declared. */
  readonly unread: number | undefined
  /** Milliseconds from its headers to its outcome. */
  readonly held: number
}

/** Message of `drained:request`: one per request of a client, attempt or redirect, when the end of its response is here or will never be. */
export interface RequestEvent {
  readonly client: string
  readonly origin: string
  readonly method: string
  /** Path with credentials and signatures redacted. */
  readonly path: string
  /** Undefined if there was no response. */
  readonly status: number | undefined
  /** Code, else name, of the error its reader has got: `AbortError` if the reader has ended it, undefined if it has ended well. */
  readonly code: string | undefined
  /** Of the connection, `1.1` or `2`; undefined if it never had one. */
  readonly protocol: '1.1' | '2' | undefined
  /** Milliseconds it waited for a connection; undefined if one was there at once, or never. */
  readonly waited: number | undefined
  /** Milliseconds since it was dispatched. */
  readonly duration: number
}

/** Message of `drained:connection`: one when a connection carries its first request, one when it is gone. */
export interface ConnectionEvent {
  readonly client: string
  readonly origin: string
  readonly state: 'opened' | 'closed'
  /** Local port, to find the connection in `ss` or `netstat`. */
  readonly localPort: number | undefined
  /** `1.1` or `2`. */
  readonly protocol: '1.1' | '2'
  /** Requests it has carried so far. */
  readonly requests: number
  /** True when it was reset: its body was not worth draining, or its request was aborted. */
  readonly reset: boolean
  /** Milliseconds since it carried its first request. */
  readonly duration: number
}

/** Message of `drained:reclaim`: a body nobody touched was taken back. */
export interface ReclaimEvent {
  readonly client: string
  readonly origin: string
  readonly method: string
  readonly path: string
  readonly status: number
  /** Milliseconds the body had waited. */
  readonly age: number
  readonly received: number
  /** Requests waiting for a connection at that moment. */
  readonly waiting: number
  /** `function (file:line:column)` of its call, if that was captured. */
  readonly callSite: string | undefined
}

/** Why a call that could have been tried again was not. */
export type GaveUp = 'attempts' | 'total' | 'retry-after' | 'budget' | 'body'

/** Message of `drained:retry`: an attempt has failed, and another one follows, or why none does. */
export interface RetryEvent {
  readonly client: string
  readonly origin: string
  readonly method: string
  readonly path: string
  /** The one that has failed, 1 for the first. */
  readonly attempt: number
  /** Of its response, if there was one. */
  readonly status: number | undefined
  /** Of the network's error, if there was one. */
  readonly code: string | undefined
  /** Milliseconds until the next attempt; undefined if there is none. */
  readonly wait: number | undefined
  /**
   * Why there is none although the failure is worth one: no attempts are left, the wait is longer than what is left of `timeout.total`, the
   * server asks for a wait longer than `maxRetryAfter`, the budget is used up, or the body was a stream.
   */
  readonly gaveUp: GaveUp | undefined
}

/** Message of `drained:wait`: one per request, when its waiting for a connection is over. */
export interface WaitEvent {
  readonly client: string
  readonly origin: string
  /** Milliseconds from the call to the connection, the making of one included. */
  readonly waited: number
  /** It is the first request of a connection, or follows others on it, or has been given up without one. */
  readonly connection: 'opened' | 'reused' | 'none'
}

/** Where a call of `fetch` was made. */
export interface CallSite {
  /** Undefined at the top of a module, or in a function without a name. */
  readonly function: string | undefined
  /** A path, or the URL of a module that is no file. */
  readonly file: string
  readonly line: number
  readonly column: number
}

/** Who found a body that nobody had ended: the garbage collector, the reclaim, or the end of its client. */
export type FoundBy = 'collector' | 'reclaim' | 'client'

/**
 * Message of `drained:leak`: a body that nobody read to its end, cancelled or disposed of. Leaks of one call site (without one: of one
 * origin, method and path, in which numbers and ids do not count) are published when their `count` is 1, 10, 100 and so on.
 */
export interface LeakEvent {
  readonly client: string
  readonly origin: string
  readonly method: string
  /** Path with credentials and signatures redacted. */
  readonly path: string
  readonly status: number
  readonly foundBy: FoundBy
  /** Milliseconds from the headers until it was found. */
  readonly age: number
  /** Bytes of it that had arrived until then. */
  readonly received: number
  /** Bytes handed to a reader: 0 if it was never touched. */
  readonly read: number
  /** Bytes declared or received that no reader got, or undefined if the length was not declared and the end had not come. */
  readonly unread: number | undefined
  /** True if it kept a connection until it was found; false if it had arrived whole, and cost only memory. */
  readonly heldConnection: boolean
  /** Leaks of the same call site so far, this one included. */
  readonly count: number
  /** `function (file:line:column)`; undefined if this call was not sampled. */
  readonly callSite: string | undefined
  /** The same in parts. */
  readonly site: CallSite | undefined
}

/**
 * What keeps a connection: `unanswered` (its request has no response yet), `untouched` (its body is there, and nobody has begun to read
 * it), `reading` (its body is being read) or `draining` (its body was given up, and the rest is being dropped).
 */
export type HolderState = 'unanswered' | 'untouched' | 'reading' | 'draining'

/** Requests and bodies in one state, of one call site (without one: of one method and path), that keep connections. */
export interface Holder {
  readonly state: HolderState
  readonly count: number
  readonly method: string
  /** Of the oldest, redacted. */
  readonly path: string
  /** Milliseconds of the oldest: since its headers, or since its call, waiting included. */
  readonly age: number
  /** Bytes received of their bodies together. */
  readonly received: number
  readonly callSite: string | undefined
  readonly site: CallSite | undefined
}

/** Message of `drained:starvation`: a request has waited for a connection longer than `queue.warn`. At most one per origin in that time. */
export interface StarvationEvent {
  readonly client: string
  readonly origin: string
  /** Milliseconds the request that waits longest has waited. */
  readonly waited: number
  /** Requests waiting. */
  readonly waiting: number
  /** Connections the origin may have; undefined if that is not known (a dispatcher of your own). */
  readonly limit: number | undefined
  /** Connections that stand. */
  readonly open: number
  /** Who keeps them, most connections first; at most 20 entries. */
  readonly holders: readonly Holder[]
}

/** Messages by channel name. */
export interface Events {
  'drained:body': BodyEvent
  'drained:request': RequestEvent
  'drained:connection': ConnectionEvent
  'drained:reclaim': ReclaimEvent
  'drained:retry': RetryEvent
  'drained:leak': LeakEvent
  'drained:starvation': StarvationEvent
  'drained:wait': WaitEvent
}

const names = [
  'drained:body',
  'drained:request',
  'drained:connection',
  'drained:reclaim',
  'drained:retry',
  'drained:leak',
  'drained:starvation',
  'drained:wait',
] as const
const outlets = Object.fromEntries(
  names.map((name) => [name, { channel: diagnostics.channel(name), debug: createDebug(name) }]),
) as Record<keyof Events, { channel: diagnostics.Channel; debug: createDebug.Debugger }>

/** Publishes to the channel and to `DEBUG=drained:*`; `message` is called only if somebody listens to either. */
export function publish<K extends keyof Events>(name: K, message: () => Events[K]): void {
  const { channel, debug } = outlets[name]
  if (!channel.hasSubscribers && !debug.enabled) return
  const event = message()
  if (debug.enabled) debug('%o', event)
  channel.publish(event)
}

/** Rather one name too many: a hidden page token costs nothing. */
const secretName =
  /(signature|token|key|secret|password|passwd|passphrase|pwd|credential|authorization)$|^(sig|credentials|code|auth|jwt|assertion|pass|sas|awsaccesskeyid|googleaccessid)$/i

/** A URL or path without its fragment, with user info and the values of secret query parameters replaced by `***`. Never throws. */
export function redactUrl(url: string): string {
  // Most have nothing to hide, and whoever listens pays for each.
  if (!url.includes('?') && !url.includes('@') && !url.includes('#')) return url
  // Never sent, and where some flows of OAuth have their tokens.
  const fragment = url.indexOf('#')
  const sent = fragment === -1 ? url : url.slice(0, fragment)
  const plain = sent.replace(
    /^([a-z][a-z0-9+.-]*:)?\/\/[^/?#]*@/i,
    (_, scheme: string | undefined) => `${scheme ?? ''}//***@`,
  )
  const query = plain.indexOf('?')
  if (query === -1) return plain
  const pairs = plain.slice(query + 1).split('&')
  return plain.slice(0, query + 1) + pairs.map(redactPair).join('&')
}

function redactPair(pair: string): string {
  const equals = pair.indexOf('=')
  if (equals === -1) return pair
  const name = pair.slice(0, equals)
  return secretName.test(decode(name)) ? `${name}=***` : pair
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
