/** How fast an origin is, by what was measured of it: what the making of a connection costs, and what the rest of a body would. */

/** Weight of the newest sample: about the last ten count. */
const newest = 0.2
const average = (old: number | undefined, sample: number): number =>
  old === undefined ? sample : old + newest * (sample - old)

/** After six closes in a row ten times as much is thought possible: one drain in vain among as many closes. */
const fading = 1.5

/** Bytes below which a body's speed says more about the scheduler than about the link. */
const least = 16 * 1024

export class Speed {
  /** Moving average of the milliseconds a new connection took. */
  connectMs: number | undefined
  /** Moving average of bytes per millisecond. */
  bytesPerMs: number | undefined

  noteConnect(ms: number): void {
    this.connectMs = average(this.connectMs, ms)
  }

  /**
   * A body that was never stopped has ended.
   * @param since when its headers came (`performance.now()`)
   */
  noteBody(bytes: number, since: number): void {
    if (bytes < least) return
    const ms = performance.now() - since
    // Half a millisecond: what came within one turn of the event loop had been waiting in the kernel.
    this.bytesPerMs = average(this.bytesPerMs, bytes / Math.max(ms, 0.5))
  }

  /** A body was closed only because it seemed slow. That brings no sample, so the estimate has to fade, or it would stand for ever. */
  noteForgone(): void {
    if (this.bytesPerMs !== undefined) this.bytesPerMs *= fading
  }
}
