/** The sections of `npm run bench`: each prints its table and says whether what must hold does. */
import { socketsTo } from '../examples/port-exhaustion/proc.ts'
import { clients, giveUps, unlimited } from './clients.ts'
import { type BenchOrigin, inChild, median, startOrigin, table } from './run.ts'

export interface Verdict {
  readonly claim: string
  readonly holds: boolean
  readonly figure: string
}

interface Leak {
  readonly done: number
  readonly sockets: number
}

const MiB = 1024 * 1024
/** Path, calls, and the most sockets drained may open; undefined where only a hang would be a failure. */
const columns: readonly [string, string, number, number | undefined][] = [
  ['empty chunked', '/empty', 200, 3],
  ['1 KiB', '/1024', 200, 3],
  ['100 KiB', '/102400', 200, 3],
  // 50: unread and kept, more than 64 of these are more than drain.memory.
  ['1 MiB', '/1048576', 50, 3],
  ['404 with 1 MiB', '/404', 50, 3],
  ['302 with 256 KiB', '/302', 200, 3],
  ['64 MiB', '/67108864', 50, undefined],
  ['endless', '/endless', 50, undefined],
]

export async function leaks(): Promise<Verdict[]> {
  const origin = await startOrigin()
  const verdicts: Verdict[] = []
  for (const limit of [8, undefined]) {
    const rows = [[limit === undefined ? 'no limit' : `pool of ${limit}`, ...columns.map(([name]) => name)]]
    for (const client of Object.keys(clients)) {
      const row = [client]
      for (const [column, path, count, most] of columns) {
        const task = {
          kind: 'leak',
          client,
          url: origin.url + path,
          count,
          ...(limit === undefined ? {} : { limit }),
        }
        const result = await inChild<Leak>(task, { timeout: 60_000 })
        row.push(cell(result, count))
        if (client !== 'drained') continue
        const holds = result?.done === count && (most === undefined || result.sockets <= most)
        verdicts.push({ claim: `drained, ${rows[0]?.[0]}, ${column}`, holds, figure: cell(result, count) })
      }
      rows.push(row)
    }
    process.stdout.write(
      `\nSockets opened by unread, kept answers (H@n: hung for ever after n calls; calls per column: ${columns.map(([, , count]) => count).join(', ')}).\n`,
    )
    process.stdout.write(`${unlimited.join(' and ')} cannot be limited.\n\n${table(rows)}\n`)
  }
  origin.stop()
  return verdicts
}

function cell(result: Leak | undefined, count: number): string {
  if (result === undefined || typeof result.done !== 'number') return 'failed'
  return result.done < count ? `H@${result.done}` : String(result.sockets)
}

export async function overhead(): Promise<Verdict[]> {
  const origin = await startOrigin()
  type Results = Record<string, { perSecond: number[]; cpu: number[] }>
  const task = { kind: 'overhead', url: `${origin.url}/json`, rounds: 9, ms: 1_000 }
  const results = (await inChild<Results>(task, { timeout: 180_000 })) ?? {}
  origin.stop()
  const ratio = (name: string, to: string): number[] =>
    (results[name]?.perSecond ?? []).map(
      (value, round) => value / (results[to]?.perSecond[round] ?? Infinity),
    )
  const rows = [['small JSON, 50 at once', 'to undici.fetch', 'least to most', 'CPU per call, ratio']]
  const base = median(results['undici.fetch']?.cpu ?? [])
  for (const [name, { cpu }] of Object.entries(results)) {
    const ratios = ratio(name, 'undici.fetch')
    rows.push([
      name,
      median(ratios).toFixed(2),
      `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
      (median(cpu) / base).toFixed(2),
    ])
  }
  process.stdout.write(`\n${table(rows)}\n`)
  const figure = median(ratio('undici.fetch + drain()', 'undici.fetch'))
  return [
    {
      claim: 'undici.fetch with drain(): at least 0.95 of bare',
      holds: figure >= 0.95,
      figure: figure.toFixed(2),
    },
  ]
}

export async function memory(): Promise<Verdict[]> {
  const origin = await startOrigin()
  const limit = 64 * MiB
  const task = { kind: 'memory', url: origin.url, count: 2_000, memory: limit }
  const result = await inChild<{ grown: number; kept: number; answered: boolean }>(task, {
    execArgv: ['--expose-gc'],
    timeout: 120_000,
  })
  origin.stop()
  const grown = Math.round((result?.grown ?? Infinity) / MiB)
  const holds = result?.answered === true && grown <= limit / MiB + 100
  return [
    {
      claim:
        '2,000 unread and kept 1 MiB answers: at most drain.memory + 100 MiB, and the next call answered',
      holds,
      figure: `${grown} MiB more resident`,
    },
  ]
}

export async function timewait(): Promise<Verdict[]> {
  const rows = [['1,000 bodies of 64 MiB given up', 'TIME_WAIT, http', 'TIME_WAIT, https']]
  const verdicts: Verdict[] = []
  for (const how of Object.keys(giveUps)) {
    const row = [how]
    for (const scheme of ['http', 'https'] as const) {
      const origin: BenchOrigin = await startOrigin(scheme)
      const result = await inChild<{ done: number }>(
        { kind: 'timewait', how, url: `${origin.url}/67108864`, count: 1_000 },
        { timeout: 60_000 },
      )
      const left = socketsTo(origin.port)?.timeWait
      origin.stop()
      row.push(result?.done === 1_000 ? String(left ?? 'n/a') : 'failed')
      if (how.startsWith('drained')) {
        verdicts.push({
          claim: `no TIME_WAIT after 1,000 given-up bodies, ${scheme}`,
          holds: left === undefined || (left === 0 && result?.done === 1_000),
          figure: String(left ?? 'n/a'),
        })
      }
    }
    rows.push(row)
  }
  process.stdout.write(`\n${table(rows)}\n`)
  return verdicts
}
