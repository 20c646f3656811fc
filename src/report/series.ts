/** Samples over any time in bounded memory: when there are too many, each two become one, with the higher of both. Pure. */
import type { Sample } from './model.ts'

/** Ten minutes at one per second; more than a chart has room for. */
const most = 600

export class Series {
  #samples: Sample[] = []
  #open: Sample | undefined
  /** Given samples in one that is kept. */
  #span = 1
  #given = 0

  add(sample: Sample): void {
    this.#open = this.#open === undefined ? sample : merge(this.#open, sample)
    if (++this.#given < this.#span) return
    this.#samples.push(this.#open)
    this.#open = undefined
    this.#given = 0
    if (this.#samples.length < most) return
    this.#samples = halve(this.#samples)
    this.#span *= 2
  }

  all(): readonly Sample[] {
    return this.#open === undefined ? [...this.#samples] : [...this.#samples, this.#open]
  }
}

/** No more than `count` of them, peaks kept. */
export function thinned(samples: readonly Sample[], count: number): readonly Sample[] {
  let few = samples
  while (few.length > count) few = halve(few)
  return few
}

function halve(samples: readonly Sample[]): Sample[] {
  const half: Sample[] = []
  for (let i = 0; i < samples.length; i += 2) {
    const [first, second] = [samples[i] as Sample, samples[i + 1]]
    half.push(second === undefined ? first : merge(first, second))
  }
  return half
}

function merge(first: Sample, second: Sample): Sample {
  return {
    at: second.at,
    sockets: Math.max(first.sockets, second.sockets),
    waiting: Math.max(first.waiting, second.waiting),
  }
}
