/** A diagnosis as text. Pure but for colour. */
import { paint, sparkline, table, wrap } from '../text.ts'
import type { Diagnosis } from './diagnosis.ts'
import type { Peer } from './peers.ts'
import type { State } from './tcp.ts'
import { bytes, type Finding, type Verdict } from './verdict.ts'

/** Endpoints shown; the rest is counted. */
const rowsShown = 15

/** Columns for states that are only there if a socket is. */
const rarer: readonly State[] = [
  'SYN_SENT',
  'SYN_RECV',
  'CLOSE_WAIT',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'CLOSING',
  'LAST_ACK',
]

const colours = { healthy: 'green', warning: 'yellow', sick: 'red' } as const

export const verdictWord = (verdict: Verdict): string => paint(colours[verdict], verdict)

export interface Shown {
  readonly width: number
  /** Sockets at the last looks, by direction and endpoint; undefined: no column for them. */
  readonly history?: ReadonlyMap<string, readonly number[]>
}

export function report(diagnosis: Diagnosis, { width, history }: Shown): string {
  const { process: who, verdict, findings, around, peers, files, range, isElsewhere, listening } = diagnosis
  const sockets = peers.reduce((sum, peer) => sum + peer.sockets, 0)
  const limit = files.limit === undefined || files.limit === Infinity ? '' : ` of ${files.limit}`
  const ports = range === undefined ? 'unknown' : `${range.first} to ${range.last} (${range.size})`
  return [
    `${paint('bold', who.name)}, process ${who.pid}: ${verdictWord(verdict)}`,
    '',
    ...wrap(
      `${plural(sockets, 'TCP socket')}, ${listening} more listening; ${files.used}${limit} files open; ephemeral ports ${ports}` +
        (isElsewhere ? ' here (it runs in another network namespace, where this may differ).' : '.'),
      width,
    ),
    '',
    ...endpoints(peers, range?.size, history),
    ...findings.flatMap((each) => ['', ...findingLines(each, width)]),
    ...(findings.length === 0 ? ['', 'Nothing is wrong with its sockets.'] : []),
    ...around.flatMap((each) => [
      '',
      'Around it, in the same network namespace:',
      ...findingLines(each, width),
    ]),
  ].join('\n')
}

export const keyOf = ({ direction, endpoint }: Peer): string => `${direction} ${endpoint}`

function endpoints(peers: readonly Peer[], range: number | undefined, history: Shown['history']): string[] {
  if (peers.length === 0) return ['It has no connections.']
  const shown = peers.slice(0, rowsShown)
  const states = rarer.filter((state) => shown.some((peer) => (peer.states[state] ?? 0) > 0))
  const head = ['remote endpoint', 'ESTABLISHED', 'unread', 'bytes', ...states, 'TIME_WAIT', 'ports']
  const rows = shown.map((peer) => [
    peer.direction === 'incoming' ? `clients of ${peer.endpoint}` : peer.endpoint,
    number(peer.states.ESTABLISHED),
    number(peer.unread),
    peer.unreadBytes === 0 ? '-' : bytes(peer.unreadBytes),
    ...states.map((state) => number(peer.states[state])),
    number(peer.timeWait),
    share(peer, range),
  ])
  const [title = '', ...lines] = table([head, ...rows])
  const lengths = Math.max(title.length, ...lines.map(({ length }) => length))
  const graphs = shown.map((peer) => history?.get(keyOf(peer)))
  return [
    paint('dim', title),
    ...lines.map((line, at) =>
      graphs[at] === undefined ? line : `${line.padEnd(lengths)}  ${sparkline(graphs[at])}`,
    ),
    ...(peers.length > shown.length ? [`and ${peers.length - shown.length} more (--json has them all)`] : []),
    ...(shown.some(({ timeWait }) => timeWait > 0)
      ? [
          paint(
            'dim',
            'TIME_WAIT and ports are those of the whole network namespace: they belong to no process.',
          ),
        ]
      : []),
  ]
}

export function findingLines({ severity, says, todo }: Finding, width: number): string[] {
  const indent = ' '.repeat(9)
  const [first = '', ...rest] = wrap(says, width - indent.length)
  return [
    `${paint(colours[severity], severity.padEnd(indent.length))}${first}`,
    ...[...rest, ...wrap(todo, width - indent.length)].map((line) => indent + line),
  ]
}

function share(peer: Peer, range: number | undefined): string {
  if (peer.ports === undefined) return '-'
  return range === undefined ? String(peer.ports.used) : `${((100 * peer.ports.used) / range).toFixed(1)} %`
}

const number = (value = 0): string => (value === 0 ? '-' : String(value))

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/** One line per look, where standard output is no terminal. */
export function lineOf({ verdict, peers, files }: Diagnosis, at: Date, totals: readonly number[]): string {
  const sum = (of: (peer: Peer) => number): number => peers.reduce((total, peer) => total + of(peer), 0)
  return [
    at.toISOString().slice(11, 19),
    `sockets ${sum(({ sockets }) => sockets)}`,
    `ESTABLISHED ${sum(({ states }) => states.ESTABLISHED ?? 0)}`,
    `unread ${sum(({ unread }) => unread)}`,
    `CLOSE_WAIT ${sum(({ states }) => states.CLOSE_WAIT ?? 0)}`,
    `TIME_WAIT ${sum(({ timeWait }) => timeWait)}`,
    `files ${files.used}`,
    verdictWord(verdict),
    sparkline(totals),
  ].join('  ')
}
