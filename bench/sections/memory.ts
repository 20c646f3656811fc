/** Unread answers, and resident memory. */
import type { Section } from '../report.ts'
import { inChild, startOrigin } from '../run.ts'
import type { Grown } from '../tasks/memory.ts'

const MiB = 1024 * 1024
const limit = 64 * MiB

export const memory: Section = async () => {
  const origin = await startOrigin()
  const task = { kind: 'memory', url: origin.url, count: 2_000, memory: limit }
  const result = await inChild<Grown>(task, { execArgv: ['--expose-gc'], timeout: 120_000 })
  await origin.stop()
  const claim =
    '2,000 unread and kept 1 MiB answers: at most drain.memory + 100 MiB, and the next call answered'
  if ('error' in result) {
    return {
      tables: [],
      verdicts: [{ claim, holds: false, figure: `failed: ${result.error}` }],
      figures: result,
    }
  }
  const grown = Math.round(result.grown / MiB)
  return {
    tables: [],
    verdicts: [
      {
        claim,
        holds: result.answered && grown <= limit / MiB + 100,
        figure: `${grown} MiB more resident`,
      },
    ],
    figures: result,
  }
}
