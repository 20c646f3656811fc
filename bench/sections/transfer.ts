/** Large bodies, either way. */
import { atLeast, measure, rateRows, type Rates } from '../rates.ts'
import type { Section, Table, Verdict } from '../report.ts'
import { startOrigin } from '../run.ts'
import { chunked, large } from '../shapes.ts'

const own = 'client.fetch'
/** `client.fetch` in another process: what it differs by is what this machine cannot tell. */
const control = 'client.fetch, once more'
const clients = [control, 'undici.request', 'undici.fetch']
/** What, the operation, its path and the answer of a call that went well. */
const transfers: readonly [string, string, string, number][] = [
  ['64 MiB through body', 'body', `/${large}`, large],
  ['64 MiB through arrayBuffer()', 'arrayBuffer', `/${large}`, large],
  ['64 MiB up, from a ReadableStream', 'webUpload', '/upload', 0],
  ["64 MiB up, from Node's Readable", 'nodeUpload', '/upload', 0],
  ['1 MiB in chunks of 100 bytes through body', 'body', '/chunked', chunked],
  ['1 MiB in chunks of 100 bytes through arrayBuffer()', 'arrayBuffer', '/chunked', chunked],
]

export const transfer: Section = async ({ rounds = 20, seconds = 0.1 }) => {
  const origin = await startOrigin('canned')
  const tables: Table[] = []
  const verdicts: Verdict[] = []
  const figures: Record<string, Rates> = {}
  for (const [what, operation, path, expected] of transfers) {
    const rates = await measure(origin, {
      operation,
      reference: own,
      clients,
      url: origin.url + path,
      expected: String(expected),
      atOnce: 1,
      rounds,
      seconds,
    })
    tables.push({ title: what, rows: rateRows(rates, 'sequential', { own }) })
    verdicts.push(atLeast(rates, { own }, 'undici.request', 1, what, control))
    figures[what] = rates
  }
  await origin.stop()
  return { tables, verdicts, figures }
}
