/** The series of one histogram: found by a key, so that attributes are made once and not with every request. */
import type { Attributes } from './attributes.ts'
import type { Timing } from './timings.ts'

/** As many as the SDK of OpenTelemetry keeps; what comes later shares one, marked as its conventions say. */
const most = 2_000
const overflow: Attributes = { 'otel.metric.overflow': true }

/** Values by bucket. */
export class Series {
  readonly attributes: Attributes
  readonly #boundaries: readonly number[]
  /** By bucket; each has its upper boundary, and the last has none. */
  readonly counts: number[]
  count = 0
  sum = 0
  min: number = Infinity
  max: number = -Infinity

  constructor(attributes: Attributes, boundaries: readonly number[]) {
    this.attributes = attributes
    this.#boundaries = boundaries
    this.counts = Array.from({ length: boundaries.length + 1 }, () => 0)
  }

  add(value: number): void {
    const boundaries = this.#boundaries
    let bucket = 0
    while (bucket < boundaries.length && value > (boundaries[bucket] as number)) bucket++
    this.counts[bucket] = (this.counts[bucket] as number) + 1
    this.count++
    this.sum += value
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
  }
}

/** A branch for each value of the first part of a key, and so on; at the end, the series. */
type Branch = Map<unknown, Branch | Series>

export class SeriesOf<E> {
  readonly timing: Timing<E>
  readonly #root: Branch = new Map()
  readonly #all: Series[] = []
  readonly #overflow: Series
  #newest: E | undefined
  #newestSeries: Series | undefined

  constructor(timing: Timing<E>) {
    this.timing = timing
    this.#overflow = new Series(overflow, timing.buckets)
  }

  of(event: E): Series {
    // Most are like the one before.
    if (this.#newestSeries !== undefined && this.timing.alike(event, this.#newest as E))
      return this.#newestSeries
    this.#newest = event
    return (this.#newestSeries = this.#find(event))
  }

  #find(event: E): Series {
    // Part by part: their hashes are known, that of a text made of them would have to be found.
    let found: Branch | Series | undefined = this.#root
    for (const part of this.timing.key(event)) {
      if (!(found instanceof Map)) break
      found = found.get(part)
    }
    return found instanceof Series ? found : this.#add(event)
  }

  /** Those that have values. */
  all(): Series[] {
    return [...this.#all, this.#overflow].filter(({ count }) => count > 0)
  }

  #add(event: E): Series {
    if (this.#all.length >= most) return this.#overflow
    const { attributes, buckets, key } = this.timing
    const series = new Series(attributes(event), buckets)
    this.#all.push(series)
    const parts = [...key(event)]
    const last = parts.pop()
    let branch = this.#root
    for (const part of parts) {
      let next = branch.get(part) as Branch | undefined
      if (next === undefined) branch.set(part, (next = new Map()))
      branch = next
    }
    branch.set(last, series)
    return series
  }
}
