/** The counters of one origin, and the plain objects `stats()` shows of them. */
import type { Reason } from '../events.ts'
import { budget } from './held.ts'
import type { Origin } from './origin.ts'

/** @internal */
export interface Counts {
  opened: number
  reused: number
  reset: number
  resent: number
  draining: number
  open: number
  holding: number
  read: number
  drained: number
  closed: number
  reasons: { [K in Reason]?: number }
  bytesRead: number
  bytesDrained: number
  bytesUnread: number
  bytesHeld: number
}

/** @internal */
export function newCounts(): Counts {
  return {
    opened: 0,
    reused: 0,
    reset: 0,
    resent: 0,
    draining: 0,
    open: 0,
    holding: 0,
    read: 0,
    drained: 0,
    closed: 0,
    reasons: {},
    bytesRead: 0,
    bytesDrained: 0,
    bytesUnread: 0,
    bytesHeld: 0,
  }
}

/** Numbers of one origin, or of all origins of a client together. */
export interface Stats {
  readonly sockets: {
    /** Connections that stand now: `idle` + those in use. */
    readonly open: number
    readonly idle: number
    /** Connections whose response is being waited for or received for its reader. */
    readonly inFlight: number
    /** Connections on which the rest of a given-up body is read and dropped. */
    readonly draining: number
    /** Since the start: connections that carried a first request. */
    readonly opened: number
    /** Since the start: requests that found a connection standing. */
    readonly reused: number
    /** Since the start: connections reset because their body was not worth draining, or their request was aborted. */
    readonly reset: number
  }
  readonly requests: {
    /** Waiting for a connection. */
    readonly waiting: number
    /** Sent, and the end of the response not received. */
    readonly inFlight: number
    /** Since the start: sent again because the kept connection they were written to was dead. */
    readonly resent: number
  }
  readonly bodies: {
    /** Responses started whose body has no outcome yet. */
    readonly open: number
    /** Those of them with bytes received ahead of the reader. */
    readonly holding: number
    readonly read: number
    readonly drained: number
    readonly closed: number
    readonly reasons: { readonly [K in Reason]?: number }
  }
  readonly bytes: {
    /** Handed to readers. */
    readonly read: number
    /** Received and dropped. */
    readonly drained: number
    /** Declared, and never received because the connection was closed. */
    readonly unread: number
    /** Held ahead of readers now. */
    readonly held: number
  }
}

/** Numbers of one origin. */
export interface OriginStats extends Stats {
  /** Moving average of the milliseconds a new connection took (TCP and TLS); undefined until the first. */
  readonly connectMs: number | undefined
  /** Moving average of the bytes per millisecond received; undefined until a body was large enough to tell. */
  readonly bytesPerMs: number | undefined
}

/** What is known of all origins of a client: a plain object, a copy, never updated. */
export interface WireStats extends Stats {
  readonly name: string
  /** Bytes held ahead by all clients of the process together. */
  readonly processHeld: number
  readonly origins: { readonly [origin: string]: OriginStats }
}

interface Now {
  readonly sockets: { open: number; idle: number }
  waiting: number
  inFlight: number
}

/** @internal */
export function addCounts(into: Counts, from: Counts): void {
  for (const [key, value] of Object.entries(from)) {
    if (typeof value === 'number') into[key as Exclude<keyof Counts, 'reasons'>] += value
  }
  for (const [reason, count] of Object.entries(from.reasons)) {
    into.reasons[reason as Reason] = (into.reasons[reason as Reason] ?? 0) + count
  }
}

function show(counts: Counts, { sockets, waiting, inFlight }: Now): Stats {
  const busy = sockets.open - sockets.idle
  return {
    sockets: {
      ...sockets,
      inFlight: Math.max(0, busy - counts.draining),
      draining: counts.draining,
      opened: counts.opened,
      reused: counts.reused,
      reset: counts.reset,
    },
    requests: { waiting, inFlight, resent: counts.resent },
    bodies: {
      open: counts.open,
      holding: counts.holding,
      read: counts.read,
      drained: counts.drained,
      closed: counts.closed,
      reasons: { ...counts.reasons },
    },
    bytes: {
      read: counts.bytesRead,
      drained: counts.bytesDrained,
      unread: counts.bytesUnread,
      held: counts.bytesHeld,
    },
  }
}

/** @internal All origins together; `gone` are the counts of origins no longer remembered. */
export function showAll(name: string, origins: Iterable<Origin>, gone: Counts): WireStats {
  const all = newCounts()
  addCounts(all, gone)
  const now: Now = { sockets: { open: 0, idle: 0 }, waiting: 0, inFlight: 0 }
  const byName: Record<string, OriginStats> = {}
  for (const origin of origins) {
    addCounts(all, origin.counts)
    const { sockets, waiting, inFlight } = origin
    now.sockets.open += sockets.open
    now.sockets.idle += sockets.idle
    now.waiting += waiting
    now.inFlight += inFlight
    byName[origin.name] = {
      ...show(origin.counts, { sockets, waiting, inFlight }),
      connectMs: origin.speed.connectMs,
      bytesPerMs: origin.speed.bytesPerMs,
    }
  }
  return { name, ...show(all, now), processHeld: budget.used, origins: byName }
}
