/** What metrics cost the calls that are metered. */
import { atLeast, measureSmallJson, rateRows } from '../rates.ts'
import type { Section } from '../report.ts'

const base = 'client.fetch'
const control = 'client.fetch, once more'
const [metered, recorded] = ['client.fetch with metricProducer()', 'client.fetch with meterClients()']
const least = 0.95

export const metrics: Section = async ({ rounds = 60, seconds = 0.05 }) => {
  const rates = await measureSmallJson({
    operation: 'metrics',
    reference: base,
    clients: [control, metered, recorded],
    rounds,
    seconds,
  })
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
