/** What is known of one body: its head, how much is still to come, and what became of its bytes. Its outcome is published once. */
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
import type { Origin } from './origin.ts'

export class Account {
  readonly method: string
  readonly path: string
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

  open(status: number, headers: ResponseHead['headers']): void {
    this.head = { method: this.method, status, headers }
    this.remaining = announcedLength(this.head)
    this.#origin.counts.open++
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
  find(foundBy: FoundBy, startedAt: number, heldConnection: boolean, site: CallSite | undefined): void {
    const { method, path, received, read, remaining } = this
    this.#leak = {
      origin: this.#origin.name,
      method,
      path,
      status: this.head?.status ?? 0,
      foundBy,
      age: performance.now() - startedAt,
      received,
      read,
      unread: remaining === undefined ? undefined : received - read + remaining,
      heldConnection,
      site,
    }
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
      ...this.request,
      client: scope.client,
      origin: name,
      outcome,
      reason,
      endedBy: this.endedBy,
      read: this.read,
      drained: this.dropped,
      unread,
    }))
  }
}
