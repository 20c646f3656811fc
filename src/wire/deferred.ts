/** Requests held back for a moment, because a connection is about to be free; oldest first, and none for long. */

/**
 * Milliseconds a request waits for a connection that is about to be free, instead of opening one more: less than anybody notices,
 * and more than the tail of a body that is on its way takes.
 */
export const patience: number = 10

export interface Sendable {
  send(): void
}

export class Deferred {
  readonly #queue: { readonly since: number; readonly request: Sendable }[] = []
  #isTimerSet = false
  /** Connections that undici frees at the end of this turn, and nobody is to have yet. */
  #free = 0
  /** Releases that will come: one for each connection, or a request would open another one. */
  #scheduled = 0

  get length(): number {
    return this.#queue.length
  }

  add(request: Sendable): void {
    this.#queue.push({ since: performance.now(), request })
    this.#setTimer()
    this.#match()
  }

  releaseAll(): void {
    while (this.#queue.length > 0) this.#send()
  }

  /** A connection is free at the end of this turn. */
  onFree(): void {
    this.#free++
    this.#match()
  }

  /** Those that were free at the end of the turn and had nobody waiting for them are the dispatcher's. */
  onTurnEnd(): void {
    this.#free = 0
  }

  #match(): void {
    while (this.#free > 0 && this.#queue.length > this.#scheduled) {
      this.#free--
      this.#scheduled++
      // In a microtask, undici has set the immediate in which it frees the connection: ours has to come behind it.
      queueMicrotask(this.#releaseSoon)
    }
  }

  #send(): void {
    this.#queue.shift()?.request.send()
  }

  readonly #release = (): void => {
    this.#scheduled--
    this.#send()
  }
  readonly #releaseSoon = (): void => void setImmediate(this.#release)

  /** Not cleared when nothing is left: a timer for each request would cost more than one that comes for nothing. */
  #setTimer(): void {
    if (this.#isTimerSet) return
    this.#isTimerSet = true
    // Timers come before sockets: if this process is late, what has arrived meanwhile is read first, and its connection freed.
    setTimeout(() => setImmediate(() => setImmediate(this.#releaseOverdue)), patience)
  }

  readonly #releaseOverdue = (): void => {
    this.#isTimerSet = false
    const latest = performance.now() - patience
    while ((this.#queue[0]?.since ?? Infinity) <= latest) this.#send()
    if (this.#queue.length > 0) this.#setTimer()
  }
}
