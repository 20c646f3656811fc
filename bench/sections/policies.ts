/** What time limits, a signal and retries cost the calls that need none of them. */
import { atLeast, measure, rateRows, type Rates } from '../rates.ts'
import { median, type Section, type Verdict } from '../report.ts'
import { startOrigin } from '../run.ts'
import { json } from '../shapes.ts'

const own = 'client.fetch'
const [bare, retrying] = ['client.fetch, no options', 'client.fetch, retry and timeout']
/** µs of CPU time a call. */
const mostForRetry = 5

export const policies: Section = async ({ rounds = 25, seconds = 0.15 }) => {
  const origin = await startOrigin('canned')
  const rates = await measure(origin, {
    operation: 'policies',
    clients: [own, 'undici.fetch', bare, retrying],
    url: `${origin.url}/json`,
    expected: json,
    atOnce: 50,
    rounds,
    seconds,
  })
  await origin.stop()
  return {
    tables: [
      {
        title: `Small JSON, ${own} with every time limit and a signal, undici.fetch with a signal; without any; with retry and timeout`,
        rows: rateRows(rates, '50 at once', { own }),
      },
    ],
    verdicts: [
      atLeast(rates, own, 'undici.fetch', 3, 'policies, small JSON, 50 at once'),
      costOfRetry(rates),
    ],
    figures: rates,
  }
}

function costOfRetry(rates: Rates): Verdict {
  const [with_, without] = [rates[retrying], rates[bare]]
  const claim = `retry and timeout cost at most ${mostForRetry} µs of CPU time a call`
  if (with_ === undefined || without === undefined || 'error' in with_ || 'error' in without)
    return { claim, holds: false, figure: 'failed' }
  const cost = median(with_.rounds.map(({ cpu }, at) => cpu - (without.rounds[at]?.cpu ?? Number.NaN)))
  return { claim, holds: cost <= mostForRetry, figure: `${cost.toFixed(1)} µs` }
}
