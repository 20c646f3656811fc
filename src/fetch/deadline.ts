/** The time limits of one call: one timer, moved when it fires and not before, since almost every call ends in time. */
import type { Dispatcher } from 'undici'
import type { Phase } from '../errors.ts'
import type { Timeouts } from '../options.ts'
import { longestTimer } from '../options/check.ts'

/** Takes undici's own limits out of the way of ours: they would end a call sooner than a longer one. Changes `opts`. */
export function liftLimits(opts: Dispatcher.DispatchOptions, timeouts: Timeouts): Dispatcher.DispatchOptions {
  if (timeouts.headers !== undefined) opts.headersTimeout = 0
  if (timeouts.body !== undefined) opts.bodyTimeout = 0
  return opts
}

type Limited = Exclude<Phase, 'connect' | 'attempt' | 'total'>

/** Who is told that a limit is over. */
export interface Late {
  onLate(phase: Phase, limit: number): void
}

export class Deadline {
  readonly #limits: Timeouts
  readonly #owner: Late
  readonly #end: number
  /** When this attempt is over. */
  #attemptEnd: number
  #phase: Limited | undefined
  /** When the present phase is over (`performance.now()`). */
  #phaseEnd = Infinity
  #timer: NodeJS.Timeout | undefined
  /** When the timer fires. */
  #fires = Infinity

  /** @param since when the call began, if this is not its first attempt */
  constructor(limits: Timeouts, owner: Late, since?: number) {
    this.#limits = limits
    this.#owner = owner
    const now = performance.now()
    this.#end = limits.total === undefined ? Infinity : (since ?? now) + limits.total
    this.#attemptEnd = limits.attempt === undefined ? Infinity : now + limits.attempt
  }

  /** The headers of the response are here, and that is all an attempt has to come to. */
  answered(): void {
    this.#attemptEnd = Infinity
  }

  /** The limit of this phase counts from now, or again from now; undefined: only `total` counts. */
  enter(phase: Limited | undefined): void {
    const limit = phase === undefined ? undefined : this.#limits[phase]
    this.#phase = phase
    this.#phaseEnd = limit === undefined ? Infinity : performance.now() + limit
    this.#arm()
  }

  /** Something of the body has come: a read that still waits has its time anew. */
  progress(): void {
    if (this.#phase === 'body') this.enter('body')
  }

  /** Whoever reads it waits for nothing more of the wire. */
  arrived(): void {
    if (this.#phase === 'body') this.enter(undefined)
  }

  /** For good: what comes afterwards sets no timer. */
  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#fires = -Infinity
  }

  #arm(): void {
    const due = Math.min(this.#end, this.#attemptEnd, this.#phaseEnd)
    // A timer that fires too early finds that out; one that would fire too late has to be set again.
    if (due >= this.#fires) return
    clearTimeout(this.#timer)
    this.#fires = due
    // Half a millisecond more: timers round down.
    const wait = Math.max(0, due - performance.now()) + 0.5
    this.#timer = setTimeout(() => this.#onTimer(), Math.min(wait, longestTimer)).unref()
  }

  #onTimer(): void {
    this.#fires = Infinity
    const now = performance.now()
    if (now >= this.#end) this.#owner.onLate('total', this.#limits.total as number)
    else if (now >= this.#attemptEnd) this.#owner.onLate('attempt', this.#limits.attempt as number)
    else if (now >= this.#phaseEnd && this.#phase !== undefined)
      this.#owner.onLate(this.#phase, this.#limits[this.#phase] as number)
    else this.#arm()
  }
}
