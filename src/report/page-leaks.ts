/** Of the page: bodies nobody ended, and who kept the connections others waited for. Pure. */
import { html, type Markup } from './markup.ts'
import type { LeakReport, Report } from './model.ts'
import {
  costOf,
  finderOf,
  hintOf,
  holderOf,
  plural,
  starvationOf,
  timesOf,
  unknownPlace,
  unreadOf,
} from './words.ts'

export function leakList(report: Report): Markup {
  const { leaks, moreLeaks } = report
  if (leaks.length === 0) return html``
  const rest = moreLeaks > 0 ? html`<p class="note">and ${plural(moreLeaks, 'more place')}</p>` : html``
  const hint = hintOf(report)
  return html`<section aria-labelledby="leaks">
    <h2 id="leaks">Bodies nobody ended</h2>
    <p class="note">
      Read the body, or end it: <code>await response.body?.cancel()</code>, <code>await using response</code>.
    </p>
    <ol class="leaks">
      ${leaks.map(leakItem)}
    </ol>
    ${rest} ${hint === undefined ? html`` : html`<p class="note">${hint}</p>`}
  </section>`
}

function leakItem(leak: LeakReport): Markup {
  const source = leak.source === undefined ? html`` : html`<pre><code>${leak.source}</code></pre>`
  return html`<li>
    <p class="place"><b>${timesOf(leak)}</b> <span>${leak.callSite ?? unknownPlace}</span></p>
    ${source}
    <p class="note">
      ${leak.method} ${leak.origin}${leak.path} · ${leak.status} · ${unreadOf(leak)} · ${costOf(leak)} ·
      ${finderOf(leak)}
    </p>
  </li>`
}

export function starvationList({ starvations }: Report): Markup {
  if (starvations.length === 0) return html``
  return html`<section aria-labelledby="starved">
    <h2 id="starved">Who kept the connections</h2>
    <ol class="leaks">
      ${starvations.map(
        (each) =>
          html`<li>
            <p>${starvationOf(each)}</p>
            <ul class="note">
              ${each.holders.map((holder) => html`<li>${holderOf(holder)}</li>`)}
            </ul>
          </li>`,
      )}
    </ol>
  </section>`
}
