/** The report as one page: no script, nothing from the network, no text of a program's that could be markup. Pure. */
import { outcomesChart, socketsChart, waitsChart } from './charts.ts'
import { escapeHtml, html, type Markup } from './markup.ts'
import type { OriginReport, Report } from './model.ts'
import { leakList, starvationList } from './page-leaks.ts'
import { thinned } from './series.ts'
import { style } from './style.ts'
import { countOf } from './tally.ts'
import {
  bytes,
  duration,
  findings,
  mean,
  number,
  outcomes,
  placesOf,
  plural,
  reasons,
  stepNames,
} from './words.ts'

/** Rows of the table beside the chart over time: what somebody reads. */
const mostRows = 24

/** What the page may do: show itself. */
const policy =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

export function pageReport(report: Report): string {
  const body = html`<header>
      <p class="brand">drained</p>
      <h1>${report.program}</h1>
      <p class="meta">
        ${report.ended} after ${duration(report.seconds * 1_000)} · started
        ${report.started.replace('T', ' ').slice(0, 19)} UTC · pid ${report.pid} · Node ${report.node}
      </p>
    </header>
    <main>
      ${tiles(report)} ${verdict(report)}
      <figure>
        <figcaption><h2>Connections over time</h2></figcaption>
        ${socketsChart(report.samples)}
        <details>
          <summary>Figures</summary>
          ${timeTable(report)}
        </details>
      </figure>
      <div class="pair">
        <figure>
          <figcaption><h2>How bodies ended</h2></figcaption>
          ${outcomesChart(report.total)} ${reasonTable(report)}
        </figure>
        <figure>
          <figcaption><h2>Waiting for a connection</h2></figcaption>
          ${waitsChart(report.total.waits)} ${waitTable(report)}
        </figure>
      </div>
      ${leakList(report)} ${starvationList(report)} ${originTable(report)}
    </main>
    <footer>
      <p>
        Written by drained at the end of the program, or on SIGUSR2. Signatures, tokens and passwords are
        shown as ***.
      </p>
    </footer>`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="content-security-policy" content="${policy}">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<title>${escapeHtml(report.program)}: connections</title>
<style>${style}</style></head><body>
${body.text}
</body></html>
`
}

function tiles(report: Report): Markup {
  const { total, leaks } = report
  const { requests, sockets, bodies } = total
  const ended = outcomes.reduce((sum, outcome) => sum + countOf(bodies[outcome]), 0)
  const leaked = leaks.reduce((sum, { count }) => sum + count, 0)
  const shown: [string, string, string][] = [
    ['requests', number(requests), total.retries > 0 ? plural(total.retries, 'retry', 'retries') : 'sent'],
    ['connections', number(sockets.opened), `at most ${number(sockets.most)} at once`],
    ['reused', number(sockets.reused), 'found one open'],
    ['reset', number(sockets.reset), 'aborted, or not worth draining'],
    ['bodies', number(ended), `${number(ended - countOf(bodies.read))} not read`],
    ['forgotten', number(leaked), leaks.length === 0 ? 'none found' : `or more, at ${placesOf(report)}`],
  ]
  return html`<dl class="tiles">
    ${shown.map(
      ([name, value, note]) =>
        html`<div>
          <dt>${name}</dt>
          <dd><b>${value}</b> <small>${note}</small></dd>
        </div>`,
    )}
  </dl>`
}

function verdict(report: Report): Markup {
  const found = findings(report)
  return found.length === 0
    ? html`<p class="verdict well">
        No body was found forgotten, and no request ended without a connection.
      </p>`
    : html`<ul class="verdict">
        ${found.map((each) => html`<li>${each}</li>`)}
      </ul>`
}

function timeTable({ samples }: Report): Markup {
  const rows = thinned(samples, mostRows).map((each) => [
    duration(each.at * 1_000),
    number(each.sockets),
    number(each.waiting),
  ])
  return table('Highest values until then', ['until', 'open connections', 'requests waiting'], rows)
}

function reasonTable({ total: { bodies } }: Report): Markup {
  const rows = outcomes.flatMap((outcome) =>
    Object.entries(bodies[outcome])
      .toSorted(([, a], [, b]) => b - a)
      .map(([reason, count]) => [reasons[reason as keyof typeof reasons] ?? reason, outcome, number(count)]),
  )
  return rows.length === 0
    ? html`<p class="none">No body has ended.</p>`
    : table('Bodies by reason', ['why', 'outcome', 'bodies'], rows)
}

function waitTable({ total: { waits } }: Report): Markup {
  const rows = waits.buckets.map((count, i) => [stepNames[i] ?? '', number(count)])
  return html`<p class="note">
      ${duration(mean(waits))} on average, ${duration(waits.longest)} at most. The making of a connection is
      part of it.
    </p>
    ${table('Requests by time waited', ['waited', 'requests'], rows)}`
}

function table(caption: string, head: readonly string[], rows: readonly (readonly string[])[]): Markup {
  return html`<table>
    <caption>
      ${caption}
    </caption>
    <thead>
      <tr>
        ${head.map((each) => html`<th scope="col">${each}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        ([first = '', ...rest]) =>
          html`<tr>
            <th scope="row">${first}</th>
            ${rest.map((each) => html`<td>${each}</td>`)}
          </tr>`,
      )}
    </tbody>
  </table>`
}

const columns = [
  'requests',
  'opened',
  'reused',
  'reset',
  'read',
  'drained',
  'closed',
  'bytes read',
  'mean wait',
  'longest wait',
]

/** On a narrow screen each row is a card, whose cells bring their names with them. */
function originTable({ origins }: Report): Markup {
  if (origins.length === 0)
    return html`<section>
      <h2>Origins</h2>
      <p class="none">No request was made that drained has seen.</p>
    </section>`
  return html`<section aria-labelledby="origins">
    <h2 id="origins">Origins</h2>
    <table class="origins" role="table" aria-labelledby="origins">
      <thead role="rowgroup">
        <tr role="row">
          <th scope="col" role="columnheader">origin</th>
          ${columns.map((each) => html`<th scope="col" role="columnheader">${each}</th>`)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${origins.map(originRow)}
      </tbody>
    </table>
  </section>`
}

function originRow(row: OriginReport): Markup {
  const cells = [
    ...[row.requests, row.sockets.opened, row.sockets.reused, row.sockets.reset].map(number),
    ...outcomes.map((outcome) => number(countOf(row.bodies[outcome]))),
    bytes(row.bytes.read),
    duration(mean(row.waits)),
    duration(row.waits.longest),
  ]
  return html`<tr role="row">
    <th scope="row" role="rowheader">${row.origin}<small>${row.client}</small></th>
    ${cells.map((cell, i) => html`<td role="cell" data-name="${columns[i] ?? ''}">${cell}</td>`)}
  </tr>`
}
