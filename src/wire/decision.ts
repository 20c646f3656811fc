/** Drain or close: pure arithmetic on what is known of one body and its connection. No clock, no state. */
import type { Reason } from '../events.ts'

/** What is known when a body is given up. */
export interface Rest {
  /** Bytes still to come, or undefined when the length was not declared. */
  readonly remaining: number | undefined
  /** The connection could carry another request once the body has ended. */
  readonly reusable: boolean
  /** The body belongs to an HTTP/2 stream. */
  readonly http2: boolean
  /** `text/event-stream`: it has no end. */
  readonly eventStream: boolean
  /** The client is closing, so nobody wants the connection. */
  readonly closing: boolean
  /** Milliseconds a new connection to this origin takes, if measured. */
  readonly connectMs: number | undefined
  /** Bytes per millisecond this origin has delivered, if measured. */
  readonly bytesPerMs: number | undefined
  readonly maxBytes: number
  readonly maxTime: number
}

/** Drain within these limits, or close at once for this reason. */
export type Decision =
  | { readonly action: 'drain'; readonly maxBytes: number; readonly maxMs: number }
  | { readonly action: 'close'; readonly reason: Reason }

/**
 * Milliseconds a closed connection costs at the least. The handshake is not all of it: the next one starts with a small
 * congestion window, takes a port, and on TLS costs both sides milliseconds of CPU.
 */
export const leastConnectMs = 100

/** Bytes that cannot take longer than a handshake whatever was measured: one receive window is on its way already. */
export const onTheWay: number = 64 * 1024

/** The cheaper of the two ways to end the rest of a body. */
export function decide(rest: Rest): Decision {
  if (rest.http2) return { action: 'close', reason: 'http2' }
  if (rest.closing) return { action: 'close', reason: 'closing' }
  if (!rest.reusable) return { action: 'close', reason: 'unreusable' }
  if (rest.eventStream) return { action: 'close', reason: 'event-stream' }

  const connectMs = Math.max(rest.connectMs ?? 0, leastConnectMs)
  if (rest.remaining === undefined) {
    return { action: 'drain', maxBytes: rest.maxBytes, maxMs: Math.min(connectMs, rest.maxTime) }
  }
  if (rest.remaining > rest.maxBytes) return { action: 'close', reason: 'bytes' }

  const drainMs =
    rest.bytesPerMs === undefined || rest.remaining <= onTheWay ? 0 : rest.remaining / rest.bytesPerMs
  if (drainMs > rest.maxTime) return { action: 'close', reason: 'time' }
  if (drainMs > connectMs) return { action: 'close', reason: 'cost' }
  return { action: 'drain', maxBytes: rest.maxBytes, maxMs: rest.maxTime }
}
