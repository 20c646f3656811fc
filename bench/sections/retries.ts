/** Retries against an origin that fails for some, or for all: what they save, and what they cost it. */
import { budgetDefaults } from '../../src/options/retry.ts'
import type { Section, Verdict } from '../report.ts'
import { inChild, startOrigin } from '../run.ts'
import type { Retried } from '../tasks/retries.ts'

const [count, atOnce] = [10_000, 50]
const { share, floor } = budgetDefaults

export const retries: Section = async () => {
  const rows = [['calls', 'answered 200', 'requests', 'of the calls', 'connections', 'left open', 'seconds']]
  const verdicts: Verdict[] = []
  const figures: Record<string, unknown> = {}
  for (const kind of ['flaky', 'busy'] as const) {
    const origin = await startOrigin()
    const task = { kind: 'retries', url: `${origin.url}/${kind}/`, count, atOnce }
    const result = await inChild<Retried>(task, { timeout: 120_000 })
    const { accepted, requests } = await origin.counts()
    await origin.stop()
    if ('error' in result) throw new Error(result.error)
    const answered = result.statuses['200'] ?? 0
    const load = requests / count
    const title = kind === 'flaky' ? '15 % fail the first time, with 256 KiB' : 'all fail, with 256 KiB'
    const shown = [answered, requests, load.toFixed(3), accepted, result.left, result.seconds.toFixed(1)]
    rows.push([`${count}: ${title}`, ...shown.map(String)])
    const claim = (text: string, holds: boolean, figure: string | number): void =>
      void verdicts.push({ claim: `${title}: ${text}`, holds, figure: String(figure) })
    if (kind === 'flaky') {
      claim('every call is answered with 200', answered === count && result.failures.length === 0, answered)
      claim('at most 1.16 times the load', load <= 1.16, load.toFixed(3))
    } else {
      // The floor is for each ten seconds, and calls at either end lie in a window more.
      const most = count * (1 + share) + floor * (Math.ceil(result.seconds / 10) + 1)
      claim(`at most ${1 + share} times the load, and the floor`, requests <= most, `${requests} of ${most}`)
      const all = result.statuses['503'] ?? 0
      claim('every call has its 503', all === count && result.failures.length === 0, all)
    }
    claim('at most 55 connections', accepted <= 55, accepted)
    claim('nothing is open at the end', result.left === 0, result.left)
    figures[kind] = { ...result, accepted, requests }
  }
  return { tables: [{ title: `${count} calls through retries, ${atOnce} at once`, rows }], verdicts, figures }
}
