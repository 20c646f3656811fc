/** What is known of one body: its head, how much is still to come, and what became of its bytes. Its outcome is published once. */
import type { Socket } from 'node:net'
import {
  type CallSite,
  type EndedBy,
  type FoundBy,
  type Outcome,
  publish,
  type Reason,
  redactUrl,
} from '../events.ts'
import type { Found } from '../leaks.ts'
import { announcedLength, type ResponseHead } from './framing.ts'
import { isHttp2 } from './internals.ts'
import type { Origin } from './origin.ts'

export class Account {
  readonly method: string
  readonly path: string
  /** When its headers came (`performance.now()`). */
  since = 0
  /** Undefined until the response has begun. */
  head: ResponseHead | undefined
  /** Bytes still to come; undefined when not declared. */
  remaining: number | undefined
  received = 0
  /** Bytes handed to the reader. */
  read = 0
  /** Bytes received and dropped. */
  dropped = 0
  endedBy: EndedBy = 'reader'
  readonly #origin: Origin
  #leak: Found | undefined

  constructor(origin: Origin, method: string, path: string) {
    this.#origin = origin
    this.method = method
    this.path = path
  }

  open(status: number, headers: ResponseHead['headers'], since: number): void {
    this.since = since
    this.head = { method: this.method, status, headers }
    this.remaining = announcedLength(this.head)
    this.#origin.begin(since)
  }

  /** A response that is no more than its head. */
  upgrade(status: number): void {
    this.head = { method: this.method, status, headers: {} }
  }

  receive(bytes: number): void {
    this.received += bytes
    if (this.remaining !== undefined) this.remaining -= bytes
  }

  deliver(bytes: number): void {
    this.read += bytes
    this.#origin.counts.bytesRead += bytes
  }

  /** The request as it may be shown. */
  get request(): { method: string; path: string; status: number } {
    return { method: this.method, path: redactUrl(this.path), status: this.head?.status ?? 0 }
  }

  /** Nobody had ended it: a leak, unless it turns out to be empty. */
  find(foundBy: FoundBy, heldConnection: boolean, site: CallSite | undefined): void {
    const { method, path, received, read, remaining } = this
    this.#leak = {
      origin: this.#origin.name,
      method,
      path,
      status: this.head?.status ?? 0,
      foundBy,
      age: performance.now() - this.since,
      received,
      read,
      unread: remaining === undefined ? undefined : received - read + remaining,
      heldConnection,
      site,
    }
  }

  /**
   * The wire has no more to do with the request.
   * @param since when it was dispatched
   * @param waited milliseconds it waited for a connection
   * @param code of the error its reader has got
   */
  leave(since: number, waited: number | undefined, socket: Socket | undefined, code?: string): void {
    publish('drained:request', () => ({
      client: this.#origin.scope.client,
      origin: this.#origin.name,
      method: this.method,
      path: redactUrl(this.path),
      status: this.head?.status,
      code,
      protocol: socket === undefined ? undefined : isHttp2(socket) ? '2' : '1.1',
      waited,
      duration: performance.now() - since,
    }))
  }

  close(outcome: Outcome, reason: Reason): void {
    const { name, counts, scope } = this.#origin
    const unread = outcome === 'closed' ? this.remaining : 0
    if (this.#leak !== undefined && (outcome === 'closed' || this.received > 0))
      scope.leaks?.report(this.#leak)
    counts.bytesDrained += this.dropped
    counts.bytesUnread += unread ?? 0
    this.#origin.noteOutcome(outcome, reason)
    publish('drained:body', () => ({
      client: scope.client,
      origin: name,
      method: this.method,
      path: redactUrl(this.path),
      status: this.head?.status ?? 0,
      outcome,
      reason,
      endedBy: this.endedBy,
      read: this.read,
      drained: this.dropped,
      unread,
      held: performance.now() - this.since,
    }))
  }
}

/** What an error may be counted by. Whoever ends a request of his own means the same by all he may give as the reason. */
export function codeOf(error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown }
  if (name === 'AbortError') return name
  if (typeof code === 'string') return code
  return error instanceof Error ? error.name : 'AbortError'
}
