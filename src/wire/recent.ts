/** How many of those that began a moment ago are still under way: a count for each of the last milliseconds, whatever their number. */

/** Milliseconds it knows of. */
const span = 16

export class Recent {
  /** The millisecond each count is of. */
  readonly #times: number[] = Array.from({ length: span }, () => -1)
  readonly #counts: number[] = Array.from({ length: span }, () => 0)

  /** @param at `performance.now()` */
  begin(at: number): void {
    const ms = Math.floor(at)
    const slot = ms % span
    if (this.#times[slot] === ms) {
      ;(this.#counts[slot] as number)++
      return
    }
    this.#times[slot] = ms
    this.#counts[slot] = 1
  }

  /** @param at when it began */
  end(at: number): void {
    const ms = Math.floor(at)
    const slot = ms % span
    if (this.#times[slot] === ms) (this.#counts[slot] as number)--
  }

  /** Those that began after this, to the millisecond; at the most {@link span} ago. */
  since(at: number): number {
    const ms = Math.floor(at)
    let count = 0
    for (let slot = 0; slot < span; slot++)
      if ((this.#times[slot] as number) > ms) count += this.#counts[slot] as number
    return count
  }
}
