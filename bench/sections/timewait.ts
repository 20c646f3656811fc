/** What closing connections leaves behind in the kernel, on both sides. */
import { giveUps } from '../clients.ts'
import type { Section, Verdict } from '../report.ts'
import { inChild, startOrigin } from '../run.ts'
import { type Closed, closedSince, leftBefore } from '../sockets.ts'

const count = 1_000

interface Outcome {
  readonly failure: string | undefined
  readonly closed: Closed | undefined
  readonly accepted: number
  readonly resets: number
}

export const timewait: Section = async () => {
  const verdicts: Verdict[] = []
  const figures: Record<string, Outcome> = {}
  const tables = []
  for (const scheme of ['http', 'https'] as const) {
    const rows = [[scheme, 'TIME_WAIT, client', 'TIME_WAIT, server', 'connections', 'reset', 'calls failed']]
    for (const how of Object.keys(giveUps)) {
      const outcome = await outcomeOf(how, scheme)
      const { failure, closed, accepted, resets } = outcome
      figures[`${how}, ${scheme}`] = outcome
      rows.push([
        how,
        String(closed?.client ?? 'n/a'),
        String(closed?.server ?? 'n/a'),
        String(accepted),
        String(resets),
        failure ?? '0',
      ])
      if (how.startsWith('drained')) verdicts.push(verdictOf(outcome, scheme))
    }
    tables.push({ title: `${count} bodies of 64 MiB given up after their headers, ${scheme}`, rows })
  }
  return { tables, verdicts, figures }
}

async function outcomeOf(how: string, scheme: 'http' | 'https'): Promise<Outcome> {
  const origin = await startOrigin(scheme)
  const before = leftBefore(origin.port)
  const task = { kind: 'timewait', how, url: `${origin.url}/67108864`, count }
  const result = await inChild<{ failures: string[] }>(task, { timeout: 60_000 })
  const closed = await closedSince(before, origin.port)
  const { accepted, resets } = await origin.counts()
  await origin.stop()
  const failures = 'error' in result ? [result.error] : result.failures
  const failure = failures.length === 0 ? undefined : `${failures.length}: ${failures[0]}`
  return { failure, closed, accepted, resets }
}

/** A run that failed fails, wherever it ran; without the kernel's figures the rest cannot be told. */
function verdictOf({ failure, closed, accepted, resets }: Outcome, scheme: string): Verdict {
  const claim = `no TIME_WAIT on either side after ${count} given-up bodies, ${scheme}`
  if (failure !== undefined) return { claim, holds: false, figure: `calls failed, ${failure}` }
  if (closed === undefined) return { claim, holds: undefined, figure: 'no /proc/net/tcp here' }
  const { client, server, closing } = closed
  return {
    claim,
    holds: client + server + closing === 0,
    figure: `client ${client}, server ${server}, still closing ${closing}; ${resets} resets on ${accepted} connections`,
  }
}
