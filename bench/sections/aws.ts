/** GetObject with client-s3: on the SDK's own request handler, and on ours. */
import { atLeast, measure, rateRows, type Rates } from '../rates.ts'
import type { Section, Table, Verdict } from '../report.ts'
import { startOrigin } from '../run.ts'
import { objects } from '../shapes.ts'

const own = 'awsRequestHandler'
const theirs = "the SDK's own"
/** What, the operation, its size, how many at once, and how many times faster it is to be. */
const downloads: readonly [string, string, number, number, number][] = [
  ['1 KiB with transformToByteArray(), 32 at once', 'objects', objects.small, 32, 1.15],
  ['1 KiB, the handler alone, 32 at once', 'objectsAlone', objects.small, 32, 1.15],
  ['16 MiB as a stream, 4 at once', 'objectStreams', objects.large, 4, 1.4],
  ['16 MiB with transformToByteArray(), 4 at once', 'objects', objects.large, 4, 1.4],
]

export const aws: Section = async ({ rounds = 30, seconds = 0.25 }) => {
  const origin = await startOrigin('canned')
  const tables: Table[] = []
  const verdicts: Verdict[] = []
  const figures: Record<string, Rates> = {}
  for (const [what, operation, size, atOnce, least] of downloads) {
    const rates = await measure(origin, {
      operation,
      reference: own,
      clients: [theirs, 'FetchHttpHandler on client.fetch'],
      url: `${origin.url}/bucket/${size}`,
      expected: String(size),
      atOnce,
      rounds,
      seconds,
    })
    tables.push({
      title: `client-s3, GetObject of ${what}`,
      rows: rateRows(rates, 'request handler', { own }),
    })
    verdicts.push(atLeast(rates, { own }, theirs, least, what))
    figures[what] = rates
  }
  await origin.stop()
  return { tables, verdicts, figures }
}
