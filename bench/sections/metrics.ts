/** What metrics cost the calls that are metered. */
import { atLeast, measure, rateRows } from '../rates.ts'
import type { Section } from '../report.ts'
import { startOrigin } from '../run.ts'
import { json } from '../shapes.ts'

const base = 'client.fetch'
const control = 'client.fetch, once more'
const [metered, recorded] = ['client.fetch with metricProducer()', 'client.fetch with meterClients()']
const least = 0.95

export const metrics: Section = async ({ rounds = 60, seconds = 0.05 }) => {
  const origin = await startOrigin('canned')
  const rates = await measure(origin, {
    operation: 'metrics',
    reference: base,
    clients: [control, metered, recorded],
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
        title: 'Small JSON, with the SDK of OpenTelemetry, collected every second',
        rows: rateRows(rates, '50 at once', { base }),
      },
    ],
    verdicts: [atLeast(rates, { base }, metered, least, 'metrics, small JSON, 50 at once', control)],
    figures: rates,
  }
}
