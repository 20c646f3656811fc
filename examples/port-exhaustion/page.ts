/** The result as one HTML page: per client, open sockets and calls done over time. Needs no network, no script, no colour. */
import { labels, type Row, show } from './table.ts'

const [width, height, left, right, upper, lower] = [360, 190, 34, 34, 12, 24]
const [plotWidth, plotHeight] = [width - left - right, height - upper - lower]

/** The same axes for every client: what is compared must look alike. */
interface Axes {
  readonly ms: number
  readonly sockets: number
}

export function page(rows: readonly Row[], title: string, notes: readonly string[] = []): string {
  const samples = rows.flatMap((row) => row.samples)
  const axes = {
    ms: Math.max(1, ...samples.map(([ms]) => ms)),
    sockets: Math.max(8, ...samples.map(([, open]) => open)),
  }
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escape(title)}</title>
<style>${style}</style></head><body>
<h1>${escape(title)}</h1>
<p>Every client made the same calls, kept every answer and read none.</p>
<p class="key"><svg viewBox="0 0 24 10" aria-hidden="true"><line class="open" x1="0" x2="24" y1="5" y2="5"/></svg> open sockets (left)
<svg viewBox="0 0 24 10" aria-hidden="true"><rect class="done" width="24" height="10"/></svg> calls done (right)</p>
<div class="panels">
${rows.map((row) => panel(row, axes)).join('\n')}
</div>
<div class="scroll"><table><thead><tr>${titles.map((each) => `<th scope="col">${each}</th>`).join('')}</tr></thead>
<tbody>${rows.map(line).join('\n')}</tbody></table></div>
${notes.map((note) => `<p>${escape(note)}</p>`).join('\n')}
</body></html>
`
}

function panel(row: Row, axes: Axes): string {
  const x = (ms: number): string => (left + (ms / axes.ms) * plotWidth).toFixed(1)
  const y = (part: number): string => (upper + (1 - part) * plotHeight).toFixed(1)
  const [endMs, endOpen] = row.samples.at(-1) ?? [0, 0]
  const sockets = row.samples.map(([ms, open]) => `${x(ms)},${y(open / axes.sockets)}`)
  const calls = row.samples.map(([ms, , done = 0]) => `${x(ms)},${y(done / row.calls)}`)
  const most = Math.max(0, ...row.samples.map(([, open]) => open))
  const verdict =
    row.hung > 0 ? `hung after ${row.done} of ${row.calls} calls` : `${row.done} of ${row.calls} calls done`
  const levels = [0, 0.5, 1].map(
    (part) =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(part)}" y2="${y(part)}"/>` +
      text(left - 5, Number(y(part)) + 4, 'end', Math.round(axes.sockets * part)) +
      text(width - right + 5, Number(y(part)) + 4, 'start', Math.round(row.calls * part)),
  )
  const times = [0, 0.5, 1].map((part) =>
    text(Number(x(axes.ms * part)), height - 6, 'middle', `${((axes.ms * part) / 1000).toFixed(1)} s`),
  )
  const sign = row.hung > 0 ? '&#10005;' : '&#9679;'
  return (
    `<figure><figcaption><strong>${escape(labels[row.client])}</strong> ${verdict}, ${most} sockets at most</figcaption>` +
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(labels[row.client])}: open sockets and calls done over time">` +
    levels.join('') +
    times.join('') +
    `<polygon class="done" points="${x(0)},${y(0)} ${calls.join(' ')} ${x(endMs)},${y(0)}"/>` +
    `<polyline class="open" data-client="${row.client}" points="${sockets.join(' ')}"/>` +
    `<text class="end" text-anchor="middle" x="${x(endMs)}" y="${Number(y(endOpen / axes.sockets)) + 4}">${sign}</text>` +
    '</svg></figure>'
  )
}

const text = (x: number, y: number, anchor: string, value: string | number): string =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${value}</text>`

const titles = [
  'client',
  'sockets opened',
  'still open',
  'TIME_WAIT left',
  'calls done',
  'failed',
  'hung',
  'time',
]

function line(row: Row): string {
  const cells = [
    show(row.opened),
    show(row.open),
    show(row.timeWait),
    `${row.done} of ${row.calls}`,
    row.failed,
    row.hung,
    `${(row.ms / 1000).toFixed(1)} s`,
  ]
  return `<tr><th scope="row">${escape(labels[row.client])}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
}

const escape = (value: string): string => value.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)

const style = `
:root{color-scheme:light dark;--fg:#1c1c1c;--bg:#fff;--line:#ddd;--open:#b42318;--done:#9ec5b4}
@media (prefers-color-scheme:dark){:root{--fg:#eee;--bg:#161616;--line:#3a3a3a;--open:#ff8a70;--done:#2f5d4a}}
body{margin:0 auto;max-width:60rem;padding:1rem;font:1rem/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg)}
h1{font-size:1.4rem;line-height:1.2}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem}
figure{margin:0}figcaption{font-size:.9rem}figcaption strong{display:block}figure svg{width:100%;height:auto;display:block}
.key svg{width:24px;height:10px}text{font-size:11px;fill:var(--fg)}
.grid{stroke:var(--line)}.open{fill:none;stroke:var(--open);stroke-width:2.5}.done{fill:var(--done)}.end{font-size:13px}
.scroll{overflow-x:auto;margin:1.5rem 0}table{border-collapse:collapse;width:100%;white-space:nowrap;font-size:.85rem}
td,th{padding:.4rem .6rem;text-align:right;border-bottom:1px solid var(--line)}th:first-child{text-align:left}
`
