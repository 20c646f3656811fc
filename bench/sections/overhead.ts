/** What the interceptor costs those who bring their own undici. */
import { atLeast, measureSmallJson, rateRows } from '../rates.ts'
import type { Section } from '../report.ts'

const base = 'undici.fetch'
/** The same as the base in another process: what it differs by is what this machine cannot tell. */
const control = 'undici.fetch, once more'
const clients = [
  control,
  'undici.fetch + drain()',
  'undici.fetch on client.dispatcher',
  'undici.request',
  'undici.request + drain()',
]
const least = 0.95

export const overhead: Section = async ({ rounds = 50, seconds = 0.05 }) => {
  const rates = await measureSmallJson({
    operation: 'overhead',
    reference: base,
    clients,
    rounds,
    seconds,
  })
  return {
    tables: [
      {
        title: `Small JSON read with json(), ${rounds} times ${seconds} s beside ${base}, each client in its own process`,
        rows: rateRows(rates, '50 at once', { base }),
      },
    ],
    verdicts: ['undici.fetch + drain()', 'undici.fetch on client.dispatcher'].map((client) =>
      atLeast(rates, { base }, client, least, 'small JSON, 50 at once', control),
    ),
    figures: rates,
  }
}
