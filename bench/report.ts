/** What a section hands back, and how it is printed. */

export interface Table {
  readonly title: string
  readonly note?: string
  /** The first row names the columns. */
  readonly rows: readonly (readonly string[])[]
}

/** `holds` is undefined where this machine cannot tell. */
export interface Verdict {
  readonly claim: string
  readonly holds: boolean | undefined
  readonly figure: string
}

export interface Report {
  readonly tables: readonly Table[]
  readonly verdicts: readonly Verdict[]
  /** The figures behind the tables, for machines. */
  readonly figures: unknown
}

/** `rounds` of `seconds` for each measurement of a rate; a section knows what it needs where they are not given. */
export interface Options {
  readonly rounds: number | undefined
  readonly seconds: number | undefined
}

export type Section = (options: Options) => Promise<Report>

export function statusOf({ holds }: Verdict): 'pass' | 'fail' | 'not measured' {
  return holds === undefined ? 'not measured' : holds ? 'pass' : 'fail'
}

export function asText({ tables, verdicts }: Report): string {
  const parts = tables.map(({ title, note, rows }) => {
    const about = note === undefined ? title : `${title}\n${note}`
    return `\n${about}\n\n${aligned(rows)}\n`
  })
  const lines = verdicts.map(
    (verdict) => `${statusOf(verdict).toUpperCase()}  ${verdict.claim}: ${verdict.figure}\n`,
  )
  return [...parts, '\n', ...lines].join('')
}

function aligned(rows: Table['rows']): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
        .join('  '),
    )
    .join('\n')
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** Median, and between what the middle half lies. */
export function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(2)
  return `${at(0.5)} (${at(0.25)} to ${at(0.75)})`
}
