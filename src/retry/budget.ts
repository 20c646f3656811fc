/**
 * The load that retries may add: in the ten seconds before any moment no more than a share of the calls begun in them, and a floor.
 * Whatever the service does, it never sees more.
 */
import type { BudgetOptions, RetryBudget } from '../options/retry.ts'

/** Seconds that are looked back on, in slots of one second: a burst of retries is paid for by the calls of about its time. */
const counted = 10
/** The oldest slot is half over: what was retried in it still counts, what was called in it no longer does. */
const slots = counted + 1

export class ShareBudget implements RetryBudget {
  readonly #share: number
  readonly #floor: number
  readonly #now: () => number
  readonly #calls = Array.from({ length: slots }, () => 0)
  readonly #retries = Array.from({ length: slots }, () => 0)
  /** Second of the newest slot. */
  #second = 0

  /** @param now milliseconds of a clock that never goes back */
  constructor(
    { share, floor }: Readonly<Required<BudgetOptions>>,
    now: () => number = () => performance.now(),
  ) {
    this.#share = share
    this.#floor = floor
    this.#now = now
  }

  deposit(): void {
    const slot = this.#advance()
    this.#calls[slot] = (this.#calls[slot] as number) + 1
  }

  withdraw(): boolean {
    const slot = this.#advance()
    if (sum(this.#retries) + 1 > this.#floor + this.#share * this.#lastCalls()) return false
    this.#retries[slot] = (this.#retries[slot] as number) + 1
    return true
  }

  left(): number {
    this.#advance()
    const left = this.#floor + this.#share * this.#lastCalls() - sum(this.#retries)
    // As in `withdraw`, a retry needs a whole one.
    return Math.max(0, Math.floor(left))
  }

  #lastCalls(): number {
    return sum(this.#calls) - (this.#calls[(this.#second + 1) % slots] as number)
  }

  /** Forgets what is too old; the slot of now. */
  #advance(): number {
    const second = Math.floor(this.#now() / 1_000)
    const passed = Math.min(second - this.#second, slots)
    for (let back = 0; back < passed; back++) {
      const slot = (second - back) % slots
      this.#calls[slot] = this.#retries[slot] = 0
    }
    this.#second = second
    return second % slots
  }
}

/** @returns undefined for false: none */
export const shareBudget = (options: Readonly<Required<BudgetOptions>> | false): ShareBudget | undefined =>
  options === false ? undefined : new ShareBudget(options)

const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0)
