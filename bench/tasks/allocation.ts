/** Bytes a call allocates: what the heap has grown by while nothing was collected. */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { type Prepare, prepared } from './rate.ts'

export interface Allocate extends Omit<Prepare, 'kind'> {
  readonly kind: 'allocation'
  readonly count: number
  readonly rounds: number
}

export interface Allocated {
  /** Bytes per call, on the heap and in buffers beside it. */
  readonly bytes: readonly number[]
  /** Rounds that were not counted because something was collected in them. */
  readonly spoilt: number
}

/** The young generation these processes start with must hold a whole round. */
export const heapOptions: readonly string[] = [
  '--expose-gc',
  '--min-semi-space-size=256',
  '--max-semi-space-size=256',
]

export async function allocation({ count, rounds, ...task }: Allocate): Promise<Allocated> {
  const { gc } = globalThis as { gc?: () => void }
  if (gc === undefined) throw new Error('needs --expose-gc')
  const call = await prepared({ ...task, kind: 'prepare' })
  const observer = new PerformanceObserver(() => {})
  observer.observe({ entryTypes: ['gc'] })
  const bytes: number[] = []
  let spoilt = 0
  // Compiled first: machine code is on the heap, too.
  for (let done = 0; done < 5 * count; done++) await call()
  for (let round = 0; round < rounds; round++) {
    gc()
    await turn()
    await turn()
    observer.takeRecords()
    const before = allocated()
    for (let done = 0; done < count; done++) await call()
    const after = allocated()
    await turn()
    await turn()
    if (observer.takeRecords().length > 0) spoilt++
    else bytes.push((after - before) / count)
  }
  return { bytes, spoilt }
}

function allocated(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
