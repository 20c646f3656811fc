/** The embedded origin as its parent sees it: a process of its own, asked for ports and for counts. */
import { type ChildProcess, fork } from 'node:child_process'
import path from 'node:path'
import type { Target } from './task.ts'

export interface Embedded {
  readonly ports: readonly number[]
  /** Connections accepted so far on one port, and how many of them stand. */
  counts(port: number): Promise<{ readonly opened: number; readonly open: number }>
  stop(): void
}

/** A round of twenty calls: what a storage service answers in a bad hour. */
const round = (
  'created small missing created small moved created busy small missing ' +
  'created small missing blob created busy small moved missing feed'
).split(' ')

export const targetsOn = (port: number): Target[] =>
  round.map((kind) => ({ kind, url: `http://127.0.0.1:${port}/${kind}` }))

/** A file of this folder as a process whose standard output cannot mix with ours. */
export const child = (file: string): ChildProcess =>
  fork(path.join(import.meta.dirname, file), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })

export async function startOrigin(wanted: number): Promise<Embedded> {
  const origin = child('origin.ts')
  const ask = <Answer>(question: object): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const gone = (): void => reject(new Error('The process of the embedded origin has ended'))
      origin.once('exit', gone)
      origin.once('message', (answer) => {
        origin.off('exit', gone)
        resolve(answer as Answer)
      })
      if (origin.connected) origin.send(question)
      else gone()
    })
  const { ports } = await ask<{ ports: number[] }>({ listen: wanted })
  return { ports, counts: (port) => ask({ count: port }), stop: () => void origin.kill() }
}
