/** Calls per second and CPU time per call. */
import { calls } from '../calls.ts'

export interface Prepare {
  readonly kind: 'prepare'
  readonly operation: string
  readonly client: string
  readonly url: string
  /** What a call must answer, as JSON. */
  readonly expected: string
}

export interface Measure {
  readonly kind: 'rate'
  readonly atOnce: number
  readonly seconds: number
}

export interface Rate {
  readonly perSecond: number
  /** µs of CPU time per call. */
  readonly cpu: number
}

let call: (() => Promise<unknown>) | undefined

export async function prepared({
  operation,
  client,
  url,
  expected,
}: Prepare): Promise<() => Promise<unknown>> {
  const made = await calls[operation]?.[client]?.(url)
  if (made === undefined) throw new Error(`no ${operation} through ${client}`)
  const answer = JSON.stringify(await made())
  if (answer !== expected) throw new Error(`answered ${answer.slice(0, 100)}`)
  return made
}

export async function prepare(task: Prepare): Promise<true> {
  call = await prepared(task)
  return true
}

/** A call that fails ends the measurement: a client is not fast by failing. */
export async function rate({ atOnce, seconds }: Measure): Promise<Rate> {
  if (call === undefined) throw new Error('nothing prepared')
  // Connections that went away since the last round come back.
  await during(call, atOnce, 0.02)
  const started = performance.now()
  const before = process.cpuUsage()
  const done = await during(call, atOnce, seconds)
  const { user, system } = process.cpuUsage(before)
  return { perSecond: done / ((performance.now() - started) / 1_000), cpu: (user + system) / done }
}

export async function during(each: () => Promise<unknown>, atOnce: number, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1_000
  let done = 0
  const worker = async (): Promise<void> => {
    do {
      await each()
      done++
    } while (performance.now() < end)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return done
}
