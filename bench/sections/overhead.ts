/** What the interceptor costs those who bring their own undici. */
import { atLeast, measure, rateRows } from '../rates.ts'
import type { Section } from '../report.ts'
import { startOrigin } from '../run.ts'
import { json } from '../shapes.ts'

const clients = [
  'undici.fetch',
  'undici.fetch + drain()',
  'undici.fetch on client.dispatcher',
  'client.fetch',
  'undici.request',
  'undici.request + drain()',
]

export const overhead: Section = async ({ rounds = 15, seconds = 0.3 }) => {
  const origin = await startOrigin('canned')
  const rates = await measure(origin, {
    operation: 'overhead',
    clients,
    url: `${origin.url}/json`,
    expected: json,
    atOnce: 50,
    rounds,
    seconds,
  })
  await origin.stop()
  const where = 'small JSON, 50 at once'
  return {
    tables: [
      {
        title: `Small JSON read with json(), ${rounds} rounds of ${seconds} s in turns, each client in its own process`,
        rows: rateRows(rates, 'undici.fetch', '50 at once'),
      },
    ],
    verdicts: [
      atLeast(rates, 'undici.fetch + drain()', 'undici.fetch', 0.95, where),
      atLeast(rates, 'undici.fetch on client.dispatcher', 'undici.fetch', 0.95, where),
    ],
    figures: rates,
  }
}
