/** What is read from `stats()` whenever somebody collects: a table of measures. It costs a request nothing. */
import { type Attributes, serverOf } from './attributes.ts'
import type { SourceStats } from './sources.ts'
import type { Outcome, Reason } from '../../events.ts'
import type { Stats } from '../../wire/stats.ts'

type Reading = readonly [value: number | undefined, attributes?: Attributes]

interface About {
  readonly name: string
  /** `counter` never goes down, `updown` adds up over clients and processes, `gauge` does not. */
  readonly kind: 'counter' | 'updown' | 'gauge'
  readonly unit: string
  readonly description: string
}

/** Of each origin of each client, or of each client. */
export type Measure = About &
  (
    | { readonly ofOrigin: (stats: Stats) => Reading[] }
    | { readonly ofClient: (stats: SourceStats) => Reading[] }
  )

const closed: Outcome = 'closed'
/** Each reason is of one outcome. */
const outcomes: { readonly [K in Reason]?: Outcome } = {
  complete: 'read',
  received: 'drained',
  ended: 'drained',
  collected: 'drained',
}

const counts = (by: string, values: { readonly [key: string]: number | undefined }): Reading[] =>
  Object.entries(values).map(([key, value]) => [value, { [by]: key }])

export const measures: readonly Measure[] = [
  {
    name: 'http.client.open_connections',
    kind: 'updown',
    unit: '{connection}',
    description: 'Connections that stand, by whether a request is on them',
    ofOrigin: ({ sockets: { open, idle } }) => counts('http.connection.state', { active: open - idle, idle }),
  },
  {
    name: 'http.client.active_requests',
    kind: 'updown',
    unit: '{request}',
    description: 'Requests sent, and the end of the response not received',
    ofOrigin: ({ requests }) => [[requests.inFlight]],
  },
  {
    name: 'drained.requests.waiting',
    kind: 'updown',
    unit: '{request}',
    description: 'Requests that wait for a connection',
    ofOrigin: ({ requests }) => [[requests.waiting]],
  },
  {
    name: 'drained.requests.resent',
    kind: 'counter',
    unit: '{request}',
    description: 'Requests sent again because their kept connection was dead',
    ofOrigin: ({ requests }) => [[requests.resent]],
  },
  {
    name: 'drained.connections.opened',
    kind: 'counter',
    unit: '{connection}',
    description: 'Connections that carried a first request',
    ofOrigin: ({ sockets }) => [[sockets.opened]],
  },
  {
    name: 'drained.connections.reset',
    kind: 'counter',
    unit: '{connection}',
    description: 'Connections reset: their body was not worth draining, or their request was aborted',
    ofOrigin: ({ sockets }) => [[sockets.reset]],
  },
  {
    name: 'drained.bodies.open',
    kind: 'updown',
    unit: '{body}',
    description: 'Bodies begun that have no outcome yet',
    ofOrigin: ({ bodies }) => [[bodies.open]],
  },
  {
    name: 'drained.bodies',
    kind: 'counter',
    unit: '{body}',
    description: 'Bodies that have ended, by outcome and reason',
    ofOrigin: ({ bodies }) =>
      Object.entries(bodies.reasons).map(([reason, value]) => [
        value,
        { 'drained.outcome': outcomes[reason as Reason] ?? closed, 'drained.reason': reason },
      ]),
  },
  {
    name: 'drained.bytes',
    kind: 'counter',
    unit: 'By',
    description:
      'Bytes of bodies: read, drained (received and dropped), or unread (declared, never received)',
    ofOrigin: ({ bytes: { read, drained, unread } }) =>
      counts('drained.bytes.fate', { read, drained, unread }),
  },
  {
    name: 'drained.bytes.held',
    kind: 'updown',
    unit: 'By',
    description: 'Bytes held ahead of their readers',
    ofOrigin: ({ bytes }) => [[bytes.held]],
  },
  {
    name: 'drained.retries',
    kind: 'counter',
    unit: '{attempt}',
    description: 'Attempts after the first, and second requests beside a slow first one',
    ofClient: ({ retries }) =>
      retries === undefined
        ? []
        : counts('drained.retry.kind', { retried: retries.made, hedged: retries.hedged }),
  },
  {
    name: 'drained.retries.given_up',
    kind: 'counter',
    unit: '{request}',
    description: 'Outcomes worth another attempt that had none, by what was in its way',
    ofClient: ({ retries }) => (retries === undefined ? [] : counts('drained.reason', retries.gaveUp)),
  },
  {
    name: 'drained.retries.budget',
    kind: 'gauge',
    unit: '{attempt}',
    description: 'Retries the budget would allow now',
    ofClient: ({ retries }) => [[retries?.budget]],
  },
]

/** Every value of a measure now, with its attributes. */
export function* readings(
  measure: Measure,
  all: readonly SourceStats[],
): Generator<readonly [value: number, attributes: Attributes]> {
  for (const stats of all) {
    const client = { 'drained.client': stats.name }
    if ('ofClient' in measure) {
      yield* known(measure.ofClient(stats), client)
    } else {
      for (const [origin, each] of Object.entries(stats.origins))
        yield* known(measure.ofOrigin(each), { ...client, ...serverOf(origin) })
    }
  }
}

function* known(found: readonly Reading[], common: Attributes): Generator<readonly [number, Attributes]> {
  for (const [value, own] of found) if (value !== undefined) yield [value, { ...common, ...own }]
}
