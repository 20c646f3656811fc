/** The end of a given-up body: whether its rest is drained or its connection closed, and the limits a drain keeps to. */
import type { Socket } from 'node:net'
import type { ResolvedDrain } from '../options.ts'
import type { Account } from './account.ts'
import { type Decision, decide } from './decision.ts'
import { canBeReused, chunkOverhead, isEventStream, type ResponseHead } from './framing.ts'
import { isHttp2 } from './internals.ts'
import type { Origin } from './origin.ts'

/**
 * The cheaper way to end this body, from what is known of it, its connection and its origin.
 * @param isKept false if the connection ends with this body: the server answers nothing more on it, or the request is not sent yet
 *   (undici closes when a response has ended before that)
 */
export function howToEnd(
  { head, remaining }: Account,
  origin: Origin,
  limits: ResolvedDrain,
  socket: Socket | undefined,
  isKept: boolean,
): Decision {
  const { speed, scope } = origin
  return decide({
    remaining,
    reusable: isKept && canBeReused(head as ResponseHead, socket),
    http2: isHttp2(socket),
    eventStream: isEventStream((head as ResponseHead).headers),
    closing: scope.closing,
    connectMs: speed.connectMs,
    bytesPerMs: speed.bytesPerMs,
    maxBytes: limits.maxBytes,
    maxTime: limits.maxTime,
  })
}

/** A drain under way: bytes and time, whichever is used up first. */
export class Draining {
  /** Bytes, framing included, that may still be dropped. */
  #bytes: number
  readonly #deadline: NodeJS.Timeout

  constructor({ maxBytes, maxMs }: Extract<Decision, { action: 'drain' }>, onLate: () => void) {
    this.#bytes = maxBytes
    this.#deadline = setTimeout(onLate, maxMs)
    this.#deadline.unref()
  }

  /** Counts a dropped chunk; false when that was one too many. */
  takes(bytes: number, isChunked: boolean): boolean {
    this.#bytes -= bytes + (isChunked ? chunkOverhead(bytes) : 0)
    return this.#bytes >= 0
  }

  end(): void {
    clearTimeout(this.#deadline)
  }
}
