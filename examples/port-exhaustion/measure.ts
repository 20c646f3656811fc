/** One client measured from its first call to its last, or until it hangs; its process is ended afterwards. */
import { setTimeout } from 'node:timers/promises'
import { child, type Embedded } from './embedded.ts'
import { socketsOf, socketsTo } from './proc.ts'
import type { Row, Sample } from './table.ts'
import { type PortPair, type Progress, type Task, tick } from './task.ts'

/** Where the calls go: a port of the embedded origin that no other client uses, or endpoints of the user's. */
export type Where = { readonly origin: Embedded; readonly port: number } | undefined

export interface Now {
  readonly done: number
  readonly open: number
}

interface Counts {
  readonly opened: number
  readonly open: number
  readonly timeWait: number | undefined
}

export async function measure(task: Task, where: Where, show: (now: Now) => void): Promise<Row> {
  const samples: Sample[] = [[0, 0, 0]]
  const ports: PortPair[] = []
  const caller = child('caller.ts')
  let last: Progress | undefined
  let isOver = false

  try {
    caller.send(task)
    const end = await new Promise<Progress>((resolve, reject) => {
      caller.on('message', (progress: Progress) => {
        last = progress
        ports.push(...progress.ports)
        // Counted once more below, when nothing moves any more.
        if (isOver) return
        isOver = progress.ended
        const open = (where && socketsTo(where.port)?.established) ?? progress.open
        samples.push([progress.ms, open, progress.done])
        show({ done: progress.done, open })
        if (progress.ended) resolve(progress)
      })
      caller.once('exit', (code, signal) =>
        reject(new Error(`The process of ${task.client} has ended with ${code ?? signal}`)),
      )
    })
    const counts = await standstill(() => count(where, last ?? end, ports))
    const { done, failed, ms, kinds, error } = end
    const hung = task.count - done - failed
    return {
      client: task.client,
      calls: task.count,
      done,
      failed,
      hung,
      ...counts,
      ms,
      error,
      samples,
      kinds,
    }
  } finally {
    caller.removeAllListeners('exit')
    caller.kill()
  }
}

async function count(where: Where, own: Progress, ports: readonly PortPair[]): Promise<Counts> {
  if (where === undefined) return { opened: own.opened, open: own.open, timeWait: socketsOf(ports)?.timeWait }
  const { opened, open } = await where.origin.counts(where.port)
  const kernel = socketsTo(where.port)
  return { opened, open: kernel?.established ?? open, timeWait: kernel?.timeWait }
}

/** Connections may still be closing when the last call is done: counted until three looks agree, for a second at most. */
async function standstill(look: () => Promise<Counts>): Promise<Counts> {
  let counts = await look()
  for (let [looks, same] = [0, 0]; looks < 1_000 / (2 * tick) && same < 2; looks++) {
    await setTimeout(2 * tick)
    const next = await look()
    same = JSON.stringify(next) === JSON.stringify(counts) ? same + 1 : 0
    counts = next
  }
  return counts
}
