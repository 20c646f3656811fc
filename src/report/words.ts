/** Numbers and names as both reports write them. Pure. */
import type { FoundBy, Holder, HolderState, Outcome, Reason } from '../events.ts'
import { countOf } from './tally.ts'
import type { Counts, LeakReport, Report, Starvation } from './model.ts'
import { steps, type Waits } from './waits.ts'

export const outcomes: readonly Outcome[] = ['read', 'drained', 'closed']

export const meanings: { readonly [K in Outcome]: string } = {
  read: 'read to the end',
  drained: 'not read, connection kept',
  closed: 'not read, connection closed',
}

/** What a reason means to somebody who reads a report. */
export const reasons: { readonly [K in Reason]: string } = {
  complete: 'read to its end',
  received: 'had arrived when it was given up',
  ended: 'given up, the rest was read and dropped',
  collected: 'had arrived, and was forgotten',
  bytes: 'given up, too many bytes were left',
  time: 'given up, the rest would have taken too long',
  cost: 'given up, a new connection was cheaper',
  unreusable: 'given up, the connection could not be reused',
  'event-stream': 'given up, an event stream has no end',
  closing: 'its client closed',
  http2: 'given up, only the HTTP/2 stream was reset',
  failed: 'the connection broke',
}

export const number = (value: number): string => Math.round(value).toLocaleString('en-US')

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${number(count)} ${count === 1 ? one : many}`

export function bytes(count: number): string {
  const [unit, size] = count < 1024 ? ['bytes', 1] : count < 1024 ** 2 ? ['KiB', 1024] : ['MiB', 1024 ** 2]
  const scaled = count / size
  return `${scaled >= 100 || size === 1 ? number(scaled) : String(Number(scaled.toFixed(1)))} ${count === 1 ? 'byte' : unit}`
}

export function duration(ms: number): string {
  if (ms < 1) return `${Number(ms.toFixed(2))} ms`
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${Number((ms / 1_000).toFixed(1))} s`
  return `${Math.round(ms / 60_000)} min`
}

/** The steps of a histogram of waits, and what is beyond the last. */
export const stepNames: readonly string[] = [
  ...steps.map((limit, i) => {
    const from = steps[i - 1]
    return from === undefined ? `< ${duration(limit)}` : `${shared(from, limit)}–${duration(limit)}`
  }),
  `> ${duration(steps.at(-1) ?? 0)}`,
]

function shared(from: number, limit: number): string {
  const [value, unit] = duration(from).split(' ')
  return duration(limit).endsWith(` ${unit}`) ? `${value}` : `${value} ${unit}`
}

export const mean = ({ total, count }: Waits): number => (count === 0 ? 0 : total / count)

export const unknownPlace = 'call site not captured'

/** How to learn of call sites that were not captured, where there is a way. */
export const hintOf = ({ leaks, hasNodeFetch }: Report): string | undefined =>
  hasNodeFetch && leaks.some(({ client, callSite }) => client === 'process' && callSite === undefined)
    ? "Who calls Node's own fetch is not known. DRAINED_FETCH=true puts drained's fetch in its place, whose call sites are."
    : undefined

/** Where bodies were forgotten: only what was captured counts as a call site. */
export function placesOf({ leaks, moreLeaks }: Report): string {
  const sites = leaks.filter(({ callSite }) => callSite !== undefined).length
  const places = [
    sites > 0 && plural(sites, 'call site'),
    sites < leaks.length && `${sites > 0 ? 'others that were' : 'call sites'} not captured`,
    moreLeaks > 0 && plural(moreLeaks, 'more place'),
  ].filter((each) => each !== false)
  return [places.slice(0, -1).join(', '), ...places.slice(-1)].filter((each) => each !== '').join(' and ')
}

export const requestOf = ({ method, origin, path, status }: LeakReport): string =>
  `${method} ${origin}${path} ${status}`

export const unreadOf = ({ unread }: LeakReport): string =>
  unread === undefined ? 'length unknown' : `${bytes(unread)} unread`

const finders: { readonly [K in FoundBy]: string } = {
  collector: 'found by the garbage collector',
  reclaim: 'taken back because others waited',
  client: 'found when its client closed',
}

export const finderOf = ({ foundBy }: LeakReport): string => finders[foundBy] ?? foundBy

/** Leaks are told of when there are 1, 10, 100 and so on. */
export const timesOf = ({ count }: LeakReport): string =>
  count === 1 ? 'once or more' : `${number(count)} times or more`

export const costOf = ({ heldConnection }: LeakReport): string =>
  heldConnection ? 'it kept a connection' : 'it cost only memory'

const states: { readonly [K in HolderState]: string } = {
  unanswered: 'waiting for an answer',
  untouched: 'not touched by anybody',
  reading: 'being read',
  draining: 'being drained',
}

export const holderOf = ({ count, state, age, method, path, callSite }: Holder): string =>
  `${number(count)} ${states[state] ?? state}, the oldest for ${duration(age)}: ${method} ${path}${callSite === undefined ? '' : ` at ${callSite}`}`

export const starvationOf = ({ client, origin, waiting, waited, open, limit }: Starvation): string =>
  `${plural(waiting, 'request')} waited for one of ${plural(open, 'connection')}${limit === undefined ? '' : ` (limit ${number(limit)})`} to ${origin} (${client}), the longest for ${duration(waited)}`

/** What a reader has to know first, the worst before the rest; nothing for a program that is well. */
export function findings(report: Report): string[] {
  const { total, leaks } = report
  const found: string[] = []
  const leaked = leaks.reduce((sum, leak) => sum + leak.count, 0)
  if (leaked > 0)
    found.push(
      `At least ${plural(leaked, 'body was', 'bodies were')} forgotten, at ${placesOf(report)}: read, cancel or dispose of them.`,
    )
  if (total.reclaimed > 0)
    found.push(
      `${plural(total.reclaimed, 'untouched body was', 'untouched bodies were')} taken back because requests waited for a connection.`,
    )
  if (total.starved > 0)
    found.push(`Requests waited for long, ${plural(total.starved, 'time')}: see who kept the connections.`)
  if (total.unsent > 0) found.push(`${plural(total.unsent, 'request')} ended without a connection.`)
  return found
}

/** One line on connections, one on bodies. */
export function summary({ requests, sockets, bodies }: Counts): string[] {
  const [read, drained, closed] = outcomes.map((outcome) => countOf(bodies[outcome])) as [
    number,
    number,
    number,
  ]
  return [
    `${plural(requests, 'request')} on ${plural(sockets.opened, 'connection')}: ${number(sockets.reused)} reused one, ` +
      `${number(sockets.reset)} reset, at most ${number(sockets.most)} open at once`,
    `${plural(read + drained + closed, 'body', 'bodies')}: ${number(read)} read, ${number(drained)} drained, ${number(closed)} closed`,
  ]
}
