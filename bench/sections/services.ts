/** A service whose connection is held, and for which calls wait, beside one that is busy. */
import { atLeast, measureSmallJson, rateRows } from '../rates.ts'
import type { Section } from '../report.ts'

const [starved, alone] = ['beside one that starves', 'alone']

export const services: Section = async ({ rounds = 50, seconds = 0.05 }) => {
  const rates = await measureSmallJson({
    operation: 'services',
    reference: alone,
    clients: [starved],
    rounds,
    seconds,
  })
  return {
    tables: [
      {
        title:
          'Small JSON through services.fetch, while 100 calls to another service wait for its one connection',
        rows: rateRows(rates, '50 at once', { base: alone }),
      },
    ],
    verdicts: [atLeast(rates, { base: alone }, starved, 0.9, 'services, small JSON, 50 at once')],
    figures: rates,
  }
}
