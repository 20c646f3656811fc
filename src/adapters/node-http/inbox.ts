/** The bytes of one response on their way to its reader: handed on as far as he asks, held ahead beyond that. */
import type { IncomingMessage } from 'node:http'
import type { ResolvedDrain } from '../../options.ts'
import type { Account } from '../../wire/account.ts'
import { Ahead } from '../../wire/ahead.ts'
import type { Waiting } from '../../wire/held.ts'
import type { Origin } from '../../wire/origin.ts'
import { node } from './hooks.ts'

export class Inbox {
  /** The reader has asked for data at least once: somebody is there. */
  isTouched = false
  /** The end has come. */
  hasArrived = false
  /** The wire was stopped, so the time it took says nothing of its speed. */
  wasStopped = false
  readonly #response: IncomingMessage
  readonly #account: Account
  readonly #ahead: Ahead
  /** The reader has room for more than it has got. */
  #isWanted = false

  constructor(response: IncomingMessage, account: Account, origin: Origin, limits: ResolvedDrain) {
    this.#response = response
    this.#account = account
    this.#ahead = new Ahead(origin, limits)
  }

  /** Bytes held ahead. */
  get held(): number {
    return this.#ahead.length
  }

  /** Nothing is left to read, and `end` is on its way to the reader. */
  get isRead(): boolean {
    const { readableFlowing, readableLength } = this.#response
    return this.hasArrived && readableFlowing === true && readableLength + this.held === 0
  }

  receive(chunk: Buffer): void {
    this.#account.receive(chunk.length)
    if (this.#isWanted) this.#deliver(chunk)
    else this.#ahead.push(chunk)
  }

  /** The wire may run while somebody wants what it brings, or it may be held; else `waiting` hears of new room. */
  mayGrow(waiting: Waiting): boolean {
    if (this.#isWanted || this.#ahead.mayGrow(this.#account.remaining, waiting)) return true
    this.wasStopped = true
    return false
  }

  end(): void {
    this.hasArrived = true
    this.#ahead.expectNoMore()
    if (this.held === 0) this.close()
  }

  /** The reader is told of the end. */
  close(): void {
    node.push.call(this.#response, null)
  }

  /** The reader asks for more. True if he has got all there is, and there is more to come. */
  ask(): boolean {
    this.#isWanted = true
    for (let chunk; this.#isWanted && (chunk = this.#ahead.shift()) !== undefined;) this.#deliver(chunk)
    if (this.#isWanted || this.hasArrived) this.#ahead.expectNoMore()
    if (this.held > 0) return false
    if (this.hasArrived) this.close()
    return !this.hasArrived
  }

  /** What is held goes where Node would have it, though nobody has asked for it and nobody will. */
  handOut(): void {
    for (let chunk; (chunk = this.#ahead.shift()) !== undefined;) {
      this.#account.dropped += chunk.length
      node.push.call(this.#response, chunk)
    }
  }

  /** From here on, only its reader keeps the response alive. */
  bequeath(): void {
    const { method, path, read, head, since } = this.#account
    const request = { method, path, status: head?.status ?? 0 }
    this.#ahead.bequeath(this.#response, { request, read, since, site: undefined, isLeak: true })
  }

  drop(waiting: Waiting): void {
    this.#account.dropped += this.#ahead.drop(waiting)
  }

  #deliver(chunk: Buffer): void {
    this.#account.deliver(chunk.length)
    this.#isWanted = node.push.call(this.#response, chunk)
  }
}
