/** The report as text for a terminal: nothing in it moves a cursor or changes a colour. Pure. */
import type { OriginReport, Report } from './model.ts'
import { countOf } from './tally.ts'
import {
  costOf,
  duration,
  finderOf,
  findings,
  hintOf,
  holderOf,
  mean,
  number,
  outcomes,
  plural,
  reasons,
  requestOf,
  starvationOf,
  summary,
  timesOf,
  unknownPlace,
  unreadOf,
} from './words.ts'

/** Rows shown; the page and `--json` have all. */
const mostOrigins = 20
const mostLeaks = 20
const mostStarved = 5
const mostHolders = 5

export function textReport(report: Report): string {
  const { total, origins, leaks } = report
  const lines = [
    '',
    `drained: ${report.program}, ${duration(report.seconds * 1_000)}, ${report.ended} (pid ${report.pid}, Node ${report.node})`,
    ...(origins.length === 0
      ? ['  no request that drained has seen']
      : summary(total).map((line) => `  ${line}`)),
  ]
  if (total.waits.count > 0)
    lines.push(
      `  waited for a connection: ${duration(mean(total.waits))} on average, ${duration(total.waits.longest)} at most`,
    )
  lines.push(...findings(report).map((line) => `  ! ${line}`))
  if (origins.length > 0)
    lines.push('', ...table(origins.slice(0, mostOrigins)), ...more(origins.length, mostOrigins, 'origin'))
  lines.push(...notRead(report))
  for (const starvation of report.starvations.slice(0, mostStarved)) {
    lines.push('', `  ${starvationOf(starvation)}`)
    lines.push(...starvation.holders.slice(0, mostHolders).map((holder) => `      ${holderOf(holder)}`))
  }
  for (const leak of leaks.slice(0, mostLeaks)) {
    lines.push(
      '',
      `  forgotten ${timesOf(leak)}${leak.callSite === undefined ? `, ${unknownPlace}` : ` at ${leak.callSite}`}`,
    )
    if (leak.source !== undefined) lines.push(`      ${leak.source}`)
    lines.push(`      ${requestOf(leak)}, ${unreadOf(leak)}, ${costOf(leak)}, ${finderOf(leak)}`)
  }
  lines.push(...more(leaks.length + report.moreLeaks, mostLeaks, 'place'))
  const hint = hintOf(report)
  if (hint !== undefined) lines.push('', `  ${hint}`)
  return lines.map(plain).join('\n') + '\n'
}

/** Why bodies were not read to their end. */
function notRead({ total: { bodies } }: Report): string[] {
  const rows = outcomes
    .filter((outcome) => outcome !== 'read')
    .flatMap((outcome) =>
      Object.entries(bodies[outcome])
        .toSorted(([, a], [, b]) => b - a)
        .map(([reason, count]) => [
          outcome,
          number(count),
          reasons[reason as keyof typeof reasons] ?? reason,
        ]),
    )
  return rows.length === 0 ? [] : ['', ...aligned([['bodies not read', '', ''], ...rows], [1])]
}

function more(count: number, shown: number, what: string): string[] {
  return count > shown ? ['', `  and ${plural(count - shown, `more ${what}`)}`] : []
}

const head = [
  'origin',
  'client',
  'requests',
  'opened',
  'reused',
  'reset',
  'read',
  'drained',
  'closed',
  'wait',
  'most',
]

function table(origins: readonly OriginReport[]): string[] {
  const rows = origins.map((row) => [
    row.origin,
    row.client,
    ...[row.requests, row.sockets.opened, row.sockets.reused, row.sockets.reset].map(number),
    ...outcomes.map((outcome) => number(countOf(row.bodies[outcome]))),
    duration(mean(row.waits)),
    duration(row.waits.longest),
  ])
  return aligned([head, ...rows], [2, 3, 4, 5, 6, 7, 8, 9, 10])
}

/** Columns as wide as their widest cell; those named are flush right. */
function aligned(rows: readonly (readonly string[])[], right: readonly number[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  return rows.map((row) => {
    const cells = row.map((cell, i) =>
      right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
    )
    return `  ${cells.join('  ')}`.trimEnd()
  })
}

/** What a server or a file name could move the cursor with, or hide text behind. */
function plain(line: string): string {
  return line.replace(
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
