/** The result as text: readable without colour. */
import type { ClientName, Kind } from './task.ts'

/** Milliseconds since the start, open sockets, calls done. */
export type Sample = readonly [ms: number, open: number, done?: number]

/** What one client did. */
export interface Row {
  readonly client: ClientName
  readonly calls: number
  readonly done: number
  readonly failed: number
  /** Calls waiting, or never begun, when the client made no progress any more. */
  readonly hung: number
  readonly opened: number | undefined
  readonly open: number | undefined
  readonly timeWait: number | undefined
  readonly ms: number
  /** Why the last failed call failed. */
  readonly error: string | undefined
  readonly samples: readonly Sample[]
  readonly kinds?: Readonly<Record<string, Kind>>
}

export const labels: Record<ClientName, string> = {
  drained: 'drained (pool of 8)',
  undici: 'undici.fetch (pool of 8)',
  node: "Node's fetch (no limit)",
  http: 'node:http (pool of 8)',
}

/** Titles in two lines, so that the table stays narrow. */
const columns: readonly [string, (row: Row, howLong: string) => string][] = [
  [' client', (row) => labels[row.client]],
  ['sockets opened', (row) => show(row.opened)],
  ['still open', (row) => show(row.open)],
  ['TIME_WAIT left', (row) => show(row.timeWait)],
  ['calls done', (row) => `${row.done} of ${row.calls}`],
  [' failed', (row) => String(row.failed)],
  [' hung', (row, howLong) => (row.hung === 0 ? '0' : `${row.hung} (${howLong})`)],
  [' time', (row) => `${(row.ms / 1000).toFixed(1)} s`],
]

/** What cannot be known on this system is said to be so. */
export const show = (value: number | undefined): string => (value === undefined ? 'n/a' : String(value))

export function table(rows: readonly Row[], howLong = 'for ever'): string {
  const titles = columns.map(([title]) => title.split(' '))
  const body = rows.map((row) => columns.map(([, of]) => of(row, howLong)))
  const lines = [titles.map(([upper = '']) => upper), titles.map(([, lower = '']) => lower), ...body]
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)))
  const rule = widths.map((width) => '-'.repeat(width))
  const format = (line: readonly string[]): string =>
    line
      .map((text, at) => (at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd()
  return [...lines.slice(0, 2), rule, ...lines.slice(2)].map(format).join('\n')
}
