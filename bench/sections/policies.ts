/** What time limits, a signal and retries cost the calls that need none of them. */
import { atLeast, measure, rateRows, type Rates } from '../rates.ts'
import { median, type Section, type Verdict } from '../report.ts'
import { startOrigin } from '../run.ts'
import { json } from '../shapes.ts'

const own = 'client.fetch'
const [bare, retrying] = ['client.fetch, no options', 'client.fetch, retry and timeout']
/** µs of CPU time a call. */
const mostForRetry = 5

export const policies: Section = async ({ rounds = 60, seconds = 0.05 }) => {
  const origin = await startOrigin('canned')
  const url = `${origin.url}/json`
  const plan = { operation: 'policies', url, expected: json, atOnce: 50, rounds, seconds }
  const limits = await measure(origin, { ...plan, reference: own, clients: ['undici.fetch'] })
  const retries = await measure(origin, { ...plan, reference: bare, clients: [retrying] })
  await origin.stop()
  return {
    tables: [
      {
        title: `Small JSON, ${own} with every time limit and a signal, undici.fetch with a signal`,
        rows: rateRows(limits, '50 at once', { own }),
      },
      {
        title: 'Small JSON, retry: true and two time limits that are never needed',
        rows: rateRows(retries, '50 at once', { base: bare }),
      },
    ],
    verdicts: [
      atLeast(limits, { own }, 'undici.fetch', 3, 'policies, small JSON, 50 at once'),
      costOfRetry(retries),
    ],
    figures: { limits, retries },
  }
}

function costOfRetry(rates: Rates): Verdict {
  const claim = `retry and timeout cost at most ${mostForRetry} µs of CPU time a call`
  const measured = rates[retrying]
  if (measured === undefined || 'error' in measured) return { claim, holds: false, figure: 'failed' }
  const cost = median(measured.rounds.map(({ cpu, beside }) => cpu - (beside?.cpu ?? Number.NaN)))
  return { claim, holds: cost <= mostForRetry, figure: `${cost.toFixed(1)} µs` }
}
