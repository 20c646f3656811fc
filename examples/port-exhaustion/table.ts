/** The result as text: readable without colour, in any width of a terminal. */
import type { ClientName } from './caller.ts'

/** What one client did. */
export interface Row {
  readonly client: ClientName
  readonly calls: number
  readonly done: number
  readonly failed: number
  /** Calls that were still waiting when the client made no progress any more. */
  readonly hung: number
  readonly opened: number | undefined
  readonly open: number | undefined
  readonly timeWait: number | undefined
  readonly ms: number
  readonly error: string | undefined
  /** Open sockets over time: milliseconds since the start, count. */
  readonly samples: readonly (readonly [number, number])[]
}

export const labels: Record<ClientName, string> = {
  drained: 'drained (pool of 8)',
  undici: 'undici.fetch (pool of 8)',
  node: "Node's fetch (no limit possible)",
  http: 'node:http (pool of 8)',
}

const columns: readonly [string, (row: Row) => string][] = [
  ['client', (row) => labels[row.client]],
  ['sockets opened', (row) => show(row.opened)],
  ['still open', (row) => show(row.open)],
  ['TIME_WAIT left', (row) => show(row.timeWait)],
  ['calls done', (row) => `${row.done} of ${row.calls}`],
  ['failed', (row) => String(row.failed)],
  ['hung', (row) => (row.hung === 0 ? '0' : `${row.hung} (for ever)`)],
  ['time', (row) => `${(row.ms / 1000).toFixed(1)} s`],
]

const show = (value: number | undefined): string => (value === undefined ? 'n/a' : String(value))

export function table(rows: readonly Row[]): string {
  const lines = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, of]) => of(row)))]
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)))
  const format = (line: readonly string[]): string =>
    line
      .map((text, at) => (at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0)))
      .join('  ')
  const [titles = [], ...rest] = lines
  return [format(titles), widths.map((width) => '-'.repeat(width)).join('  '), ...rest.map(format)].join('\n')
}
