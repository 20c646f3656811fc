/**
 * The queue of one pool: requests beyond what it can take at once wait here, first come, first served, and not in undici's own queue,
 * from which nothing can be taken back. A request that gives up is gone at once; one that undici has keeps its place until undici
 * lets go of it.
 */
import { Roster, type Rostered } from './roster.ts'

export interface Queued extends Rostered {
  /** One of the requests that the pool has. */
  hasPlace: boolean
  onAdmitted(): void
}

export class Queue<T extends Queued> {
  /** Oldest first. */
  readonly waiting: Roster<T> = new Roster<T>()
  readonly #limit: number
  #taken = 0
  /** One connection takes many requests, or the client ends: the pool takes everything. */
  #isOpen = false
  #isAdmitting = false

  constructor(limit: number) {
    this.#limit = limit
  }

  /** True if the request has a place now; else it waits for its `onAdmitted()`. */
  enter(request: T): boolean {
    if (request.hasPlace) return true
    if (!this.#isOpen && (this.#taken >= this.#limit || this.waiting.size > 0)) {
      this.waiting.add(request)
      return false
    }
    this.#seat(request)
    return true
  }

  /** The pool has no more to do with this request. */
  vacate(request: T): void {
    if (!request.hasPlace) return
    request.hasPlace = false
    this.#taken--
    this.#admit()
  }

  /** From now on nobody waits here. */
  open(): void {
    this.#isOpen = true
    this.#admit()
  }

  #seat(request: T): void {
    request.hasPlace = true
    this.#taken++
  }

  /** A loop, since one that fails at once vacates its place inside: the calls would pile up. */
  #admit(): void {
    if (this.#isAdmitting) return
    this.#isAdmitting = true
    for (let next = this.waiting.first; next !== undefined; next = this.waiting.first) {
      if (!this.#isOpen && this.#taken >= this.#limit) break
      this.waiting.remove(next)
      this.#seat(next)
      next.onAdmitted()
    }
    this.#isAdmitting = false
  }
}
