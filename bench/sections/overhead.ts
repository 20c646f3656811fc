/** What the interceptor costs those who bring their own undici. */
import { atLeast, measure, rateRows, type Rates, ratios } from '../rates.ts'
import { median, type Section, type Verdict } from '../report.ts'
import { startOrigin } from '../run.ts'
import { json } from '../shapes.ts'

const base = 'undici.fetch'
/** The same as the base in another process: what it differs by is what this machine cannot tell. */
const control = 'undici.fetch, once more'
const clients = [
  base,
  control,
  'undici.fetch + drain()',
  'undici.fetch on client.dispatcher',
  'undici.request',
  'undici.request + drain()',
]
const least = 0.95
const tolerance = 0.03

export const overhead: Section = async ({ rounds = 40, seconds = 0.1 }) => {
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
  return {
    tables: [
      {
        title: `Small JSON read with json(), ${rounds} rounds of ${seconds} s in turns, each client in its own process`,
        rows: rateRows(rates, '50 at once', { base }),
      },
    ],
    verdicts: [
      verdictOf(rates, 'undici.fetch + drain()'),
      verdictOf(rates, 'undici.fetch on client.dispatcher'),
    ],
    figures: rates,
  }
}

/** A few percent can be told only where the control is equal to its base. */
function verdictOf(rates: Rates, client: string): Verdict {
  const verdict = atLeast(rates, client, base, least, 'small JSON, 50 at once')
  const found = median(ratios(rates, control, base))
  if (ratios(rates, client, base).length === 0 || Math.abs(found - 1) <= tolerance) return verdict
  const figure = `${verdict.figure}; too noisy here, ${base} itself makes ${found.toFixed(2)} of ${base}`
  return { ...verdict, holds: undefined, figure }
}
