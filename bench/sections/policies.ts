/** What time limits and a signal cost. */
import { atLeast, measure, rateRows } from '../rates.ts'
import type { Section } from '../report.ts'
import { startOrigin } from '../run.ts'
import { json } from '../shapes.ts'

const own = 'client.fetch'

export const policies: Section = async ({ rounds = 60, seconds = 0.05 }) => {
  const origin = await startOrigin('canned')
  const rates = await measure(origin, {
    operation: 'policies',
    reference: own,
    clients: ['undici.fetch'],
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
        title: `Small JSON, ${own} with every time limit and a signal, undici.fetch with a signal`,
        rows: rateRows(rates, '50 at once', { own }),
      },
    ],
    verdicts: [atLeast(rates, { own }, 'undici.fetch', 3, 'policies, small JSON, 50 at once')],
    figures: rates,
  }
}
