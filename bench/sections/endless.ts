/** Answers that never end, which nobody reads: the pool goes on. */
import type { Section } from '../report.ts'
import { inChild, startOrigin } from '../run.ts'

const [count, limit, most] = [50, 8, 10_000]

export const endless: Section = async () => {
  const rows = [[`pool of ${limit}, drain.stall 500 ms`, 'seconds', 'connections']]
  const verdicts = []
  const figures: Record<string, unknown> = {}
  for (const atOnce of [false, true]) {
    const origin = await startOrigin()
    const task = { kind: 'endless', url: `${origin.url}/endless`, count, limit, atOnce }
    const result = await inChild<{ ms: number; kept: number }>(task, { timeout: 60_000 })
    const { accepted } = await origin.counts()
    await origin.stop()
    const way = atOnce ? 'all at once' : 'one after another'
    const figure = 'error' in result ? `failed: ${result.error}` : `${(result.ms / 1_000).toFixed(1)} s`
    rows.push([way, figure, String(accepted)])
    verdicts.push({
      claim: `${count} endless and kept answers, ${way}: all there within ${most / 1_000} s`,
      holds: !('error' in result) && result.kept === count && result.ms < most,
      figure,
    })
    figures[way] = { ...result, accepted }
  }
  return { tables: [{ title: `${count} endless answers, kept and never read`, rows }], verdicts, figures }
}
