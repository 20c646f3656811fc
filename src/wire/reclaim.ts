/** Untouched bodies that keep connections of one origin, and when the oldest are taken back: while others wait, and no more than they need. */
import { longestTimer } from '../options/check.ts'

/** A body that nobody has touched. */
export interface Untouched {
  /** When it began to wait untouched. */
  readonly waitingSince: number
  reclaim(age: number): void
}

/** What decides who is reclaimed. */
export interface Demand {
  /** Requests waiting for a connection. */
  readonly waiting: number
  /** Connections they lack. */
  readonly needed: number
  /** Since when there is somebody to take a body back for (`performance.now()`). */
  readonly neededSince: number
  readonly scope: { readonly stall: number; readonly closing: boolean; readonly isAwaited: boolean }
}

export class Reclaim<B extends Untouched> {
  readonly #demand: Demand
  /** Oldest first. */
  readonly #untouched = new Set<B>()
  #timer: NodeJS.Timeout | undefined
  #isDue = false

  constructor(demand: Demand) {
    this.#demand = demand
  }

  add(body: B): void {
    this.#untouched.add(body)
    if (this.#demand.needed > 0) this.reviewSoon()
  }

  remove(body: B): void {
    if (!this.#untouched.delete(body) || this.#untouched.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Nobody waits for a connection, nor for the end of a close(): a body that may be taken back is no reason to go on living. */
  rest(): void {
    const { closing, isAwaited } = this.#demand.scope
    if (!closing || !isAwaited) this.#timer?.unref()
  }

  /** Soon, not now: undici's parser must not be entered twice, and whoever asks may be called by it. */
  reviewSoon(): void {
    if (this.#isDue || this.#untouched.size === 0) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      this.#review()
    })
  }

  /** Takes back what is due, oldest first and no more than is needed, and sets the timer for the next. */
  #review(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    let { needed } = this.#demand
    const now = performance.now()
    for (const body of this.#untouched) {
      if (needed <= 0) return
      const due = Math.max(body.waitingSince, this.#demand.neededSince) + this.#demand.scope.stall
      if (due > now) {
        // One more millisecond: timers round down, and a review too early would only set the next.
        this.#timer = setTimeout(() => this.#review(), Math.min(due - now + 1, longestTimer))
        // Whoever waits is owed a connection, and a paused one does not keep the process alive: without this timer it would just end.
        if (this.#demand.waiting === 0) this.rest()
        return
      }
      this.#untouched.delete(body)
      needed--
      body.reclaim(now - body.waitingSince)
    }
  }
}
