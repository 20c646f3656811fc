/** The charts of the page: inline SVG that stretches to its place, with labels beside it that do not. Pure. */
import type { Outcome } from '../events.ts'
import { html, type Markup } from './markup.ts'
import type { Counts, Sample } from './model.ts'
import { thinned } from './series.ts'
import { countOf } from './tally.ts'
import type { Waits } from './waits.ts'
import { duration, meanings, number, outcomes, plural, stepNames } from './words.ts'

/** Inside of an SVG that stretches: only proportions matter. */
const [width, height] = [1000, 1000]

/** As many stretches of time as a wide screen tells apart. */
const mostPoints = 400

/** Highest connections open and requests waiting in each stretch of time, as steps. */
export function socketsChart(samples: readonly Sample[]): Markup {
  const shown = thinned(samples, mostPoints)
  const end = Math.max(shown.at(-1)?.at ?? 0, 0.001)
  const most = {
    sockets: Math.max(0, ...shown.map(({ sockets }) => sockets)),
    waiting: Math.max(0, ...shown.map(({ waiting }) => waiting)),
  }
  const ticks = ticksTo(Math.max(most.sockets, most.waiting, 1))
  const top = ticks.at(-1) ?? 1
  const times = timesTo(end)
  const line = (pick: (sample: Sample) => number): string =>
    shown
      .map((each, i) => {
        const y = round(height - (pick(each) / top) * height)
        return `${i === 0 ? `M0 ${y}` : `V${y}`}H${round((each.at / end) * width)}`
      })
      .join('')
  const sockets = line((each) => each.sockets)
  const title = `At most ${plural(most.sockets, 'connection')} open and ${plural(most.waiting, 'request')} waiting over ${duration(end * 1_000)}`
  return html`<div class="plot" id="sockets-chart">
      <div class="y" aria-hidden="true">
        ${ticks.map((tick) => html`<span style="bottom:${round((tick / top) * 100)}%">${number(tick)}</span>`)}
      </div>
      <svg
        viewBox="0 0 ${width} ${height}"
        preserveAspectRatio="none"
        role="img"
        aria-labelledby="sockets-title"
      >
        <title id="sockets-title">${title}</title>
        ${ticks.map((tick) => html`<line class="grid" x1="0" x2="${width}" y1="${round(height - (tick / top) * height)}" y2="${round(height - (tick / top) * height)}" />`)}
        <path class="fill-sockets" d="${sockets}V${height}H0Z" />
        <path class="line sockets" d="${sockets}" />
        ${most.waiting > 0 ? html`<path class="line waiting" d="${line((each) => each.waiting)}" />` : html``}
      </svg>
      <div class="x" aria-hidden="true">
        ${times.map((at) => html`<span style="left:${round((at / end) * 100)}%">${at === 0 ? '0' : duration(at * 1_000)}</span>`)}
      </div>
    </div>
    <p class="legend">
      <span><i class="key sockets"></i>open connections, at most ${number(most.sockets)}</span>
      <span><i class="key waiting"></i>requests waiting, at most ${number(most.waiting)}</span>
    </p>`
}

/** Bodies by outcome, as parts of one bar. */
export function outcomesChart({ bodies }: Counts): Markup {
  const counts = outcomes.map((outcome) => ({ outcome, count: countOf(bodies[outcome]) }))
  const total = counts.reduce((sum, { count }) => sum + count, 0)
  const title =
    total === 0
      ? 'No body has ended'
      : counts.map(({ outcome, count }) => `${share(count, total)} ${outcome}`).join(', ')
  let before = 0
  const bars = counts
    .filter(({ count }) => count > 0)
    .map(({ outcome, count }) => {
      const x = (before / total) * width
      before += count
      return html`<rect
        class="${outcome}"
        x="${round(x)}"
        width="${round((count / total) * width)}"
        height="${height}"
        ><title>${number(count)} ${meanings[outcome]}</title></rect
      >`
    })
  return html`<svg
      class="bar"
      id="outcomes-chart"
      viewBox="0 0 ${width} ${height}"
      preserveAspectRatio="none"
      role="img"
      aria-label="${title}"
    >
      <rect class="empty" width="${width}" height="${height}" />
      ${bars}
    </svg>
    <ul class="shares">
      ${counts.map(({ outcome, count }) => shareOf(outcome, count, total))}
    </ul>`
}

const shareOf = (outcome: Outcome, count: number, total: number): Markup =>
  html`<li>
    <i class="key ${outcome}"></i><b>${total === 0 ? '0 %' : share(count, total)}</b>
    <span>${meanings[outcome]}</span>
  </li>`

/** Never "0 %" of something, nor "100 %" of all but one. */
export function share(count: number, total: number): string {
  if (count === 0 || count === total) return count === 0 ? '0 %' : '100 %'
  const percent = (count / total) * 100
  if (percent < 1) return '< 1 %'
  return percent > 99 ? '> 99 %' : `${Math.round(percent)} %`
}

/** Requests by how long they waited, as columns. */
export function waitsChart({ buckets, count, longest }: Waits): Markup {
  const top = Math.max(...buckets, 1)
  const each = width / buckets.length
  const title =
    count === 0
      ? 'No request has waited'
      : `${plural(count, 'request')}, the longest wait ${duration(longest)}`
  return html`<div class="columns" id="waits-chart">
    <div class="counts" aria-hidden="true">
      ${buckets.map(
        (value, i) =>
          html`<span style="left:${round((i / buckets.length) * 100)}%;bottom:${round((value / top) * 100)}%"
            >${number(value)}</span
          >`,
      )}
    </div>
    <svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${title}">
      ${buckets.map((value, i) => {
        const tall = round((value / top) * height)
        return html`<rect
          class="wait-${i}"
          x="${round((i + 0.14) * each)}"
          y="${round(height - tall)}"
          width="${round(each * 0.72)}"
          height="${tall}"
          ><title>${stepNames[i] ?? ''}: ${number(value)}</title></rect
        >`
      })}
      <line class="axis" x1="0" x2="${width}" y1="${height}" y2="${height}" />
    </svg>
    <div class="steps" aria-hidden="true">
      ${stepNames.map((name) => html`<span>${name.replaceAll(' ', '\u00a0')}</span>`)}
    </div>
  </div>`
}

const round = (value: number): number => Number(value.toFixed(1))

const easy = [5, 2, 1, 0.5]

/** Whole numbers that are easy to read, from 0 to what is not below `most`. */
export function ticksTo(most: number): number[] {
  const step = Math.max(1, stepFor(most))
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step)
}

/** Times that are easy to read, from 0 to what is not beyond `end`. */
export function timesTo(end: number): number[] {
  // What is labelled in minutes has whole ones.
  const step = end < 120 ? stepFor(end) : 60 * Math.max(1, stepFor(end / 60))
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => i * step)
}

/** Three to seven of them fit. */
function stepFor(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / 3))
  return (easy.find((factor) => factor * power <= most / 3) ?? 1) * power
}
