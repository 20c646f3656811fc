/** Downloads with storage-blob: on the SDK's own HTTP client, and on ours. */
import { atLeast, measure, rateRows, type Rates } from '../rates.ts'
import type { Section, Table, Verdict } from '../report.ts'
import { startOrigin } from '../run.ts'
import { blobs } from '../shapes.ts'

const own = 'azureHttpClient'
const theirs = "the SDK's own"
/** What, its size, how many at once, and how many times faster it is to be. */
const downloads: readonly [string, number, number, number][] = [
  ['1 KiB, 32 at once', blobs.small, 32, 1.3],
  ['16 MiB, 4 at once', blobs.large, 4, 1.6],
]

export const azure: Section = async ({ rounds = 30, seconds = 0.25 }) => {
  const origin = await startOrigin('canned')
  const tables: Table[] = []
  const verdicts: Verdict[] = []
  const figures: Record<string, Rates> = {}
  for (const [what, size, atOnce, least] of downloads) {
    const rates = await measure(origin, {
      operation: 'blobs',
      reference: own,
      clients: [theirs],
      url: `${origin.url}/account/container/${size}`,
      expected: String(size),
      atOnce,
      rounds,
      seconds,
    })
    tables.push({ title: `storage-blob, download of ${what}`, rows: rateRows(rates, 'HTTP client', { own }) })
    verdicts.push(atLeast(rates, { own }, theirs, least, what))
    figures[what] = rates
  }
  await origin.stop()
  return { tables, verdicts, figures }
}
