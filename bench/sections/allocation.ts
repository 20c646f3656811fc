/** Garbage made by one small call. */
import { median, type Section, spread } from '../report.ts'
import { inChild, startOrigin } from '../run.ts'
import { json } from '../shapes.ts'
import { type Allocated, heapOptions } from '../tasks/allocation.ts'

const clients = ['client.fetch', 'undici.fetch', 'undici.request', 'bare dispatch']
const most = 0.5

export const allocation: Section = async ({ rounds = 9 }) => {
  const origin = await startOrigin('canned')
  const figures: Record<string, Allocated | { error: string }> = {}
  for (const client of clients) {
    const task = {
      kind: 'allocation',
      operation: 'json',
      client,
      url: `${origin.url}/json`,
      expected: json,
      count: 1_000,
      rounds,
    }
    figures[client] = await inChild<Allocated>(task, { execArgv: [...heapOptions], timeout: 60_000 })
  }
  await origin.stop()
  const bytesOf = (client: string): readonly number[] => {
    const found = figures[client]
    return found === undefined || 'error' in found ? [] : found.bytes
  }
  const base = median(bytesOf('undici.fetch'))
  const ratio = median(bytesOf('client.fetch')) / base
  const rows = Object.entries(figures).map(([client, found]) => {
    if ('error' in found) return [client, `failed: ${found.error}`, '', '']
    const kib = found.bytes.map((bytes) => bytes / 1024)
    return [client, spread(kib), (median(found.bytes) / base).toFixed(2), String(found.spoilt)]
  })
  return {
    tables: [
      {
        title: 'Memory allocated by one call, small JSON read with json(), one after another',
        rows: [['', 'KiB a call', 'to undici.fetch', 'rounds left out: collected'], ...rows],
      },
    ],
    verdicts: [
      {
        claim: `client.fetch allocates at most ${most.toFixed(2)} of undici.fetch`,
        holds: ratio <= most,
        figure: ratio.toFixed(2),
      },
    ],
    figures,
  }
}
