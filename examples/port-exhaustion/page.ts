/** The result as one HTML page: open sockets over time per client. Self-contained, light and dark, readable on a phone. */
import { labels, type Row } from './table.ts'

const colours = ['#0a7d4f', '#c2410c', '#6d28d9', '#0369a1']
const [width, height, left, bottom] = [720, 320, 44, 28]

export function page(rows: readonly Row[], title: string): string {
  const end = Math.max(1, ...rows.flatMap((row) => row.samples.map(([ms]) => ms)))
  const top = Math.max(10, ...rows.flatMap((row) => row.samples.map(([, open]) => open)))
  const x = (ms: number): number => left + (ms / end) * (width - left - 10)
  const y = (open: number): number => height - bottom - (open / top) * (height - bottom - 14)
  const ticks = [0, 0.25, 0.5, 0.75, 1]
  const grid = ticks.map((part) => {
    const open = Math.round(top * part)
    return `<line class="grid" x1="${left}" x2="${width - 10}" y1="${y(open)}" y2="${y(open)}"/><text x="${left - 6}" y="${y(open) + 4}" text-anchor="end">${open}</text><text x="${x(end * part)}" y="${height - 8}" text-anchor="middle">${((end * part) / 1000).toFixed(1)} s</text>`
  })
  const lines = rows.map((row, at) => {
    const points = row.samples.map(([ms, open]) => `${x(ms).toFixed(1)},${y(open).toFixed(1)}`).join(' ')
    return `<polyline data-client="${row.client}" fill="none" stroke="${colours[at % colours.length]}" stroke-width="2.5" points="${points}"/>`
  })
  const cells = rows.map(
    (row, at) =>
      `<tr><th scope="row"><i style="background:${colours[at % colours.length]}"></i>${escape(labels[row.client])}</th><td>${row.opened ?? 'n/a'}</td><td>${row.open ?? 'n/a'}</td><td>${row.timeWait ?? 'n/a'}</td><td>${row.done} of ${row.calls}</td><td>${row.hung}</td><td>${(row.ms / 1000).toFixed(1)} s</td></tr>`,
  )
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escape(title)}</title>
<style>
:root{color-scheme:light dark;--fg:#1c1c1c;--bg:#fff;--line:#ddd}
@media (prefers-color-scheme:dark){:root{--fg:#eee;--bg:#161616;--line:#3a3a3a}}
body{margin:0 auto;max-width:60rem;padding:1rem;font:1rem/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg)}
svg{width:100%;height:auto}text{font-size:11px;fill:var(--fg)}.grid{stroke:var(--line)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;white-space:nowrap}
td,th{padding:.4rem .7rem;text-align:right;border-bottom:1px solid var(--line)}th:first-child{text-align:left}
i{display:inline-block;width:.8em;height:.8em;margin-right:.5em;border-radius:2px}
</style></head><body>
<h1>${escape(title)}</h1>
<p>Open sockets over time, one line per client. Every client made the same calls; no answer was read.</p>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Open sockets over time">${grid.join('')}${lines.join('')}</svg>
<div class="scroll"><table><thead><tr><th>client</th><th>opened</th><th>still open</th><th>TIME_WAIT</th><th>calls done</th><th>hung</th><th>time</th></tr></thead>
<tbody>${cells.join('\n')}</tbody></table></div>
</body></html>
`
}

const escape = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
