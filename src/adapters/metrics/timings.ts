/** What is recorded as it happens: times, from the messages of this library. Each is a histogram in seconds. */
import { type Attributes, failureOf, methodOf, serverOf } from './attributes.ts'
import type { Events } from '../../events.ts'

/** Boundaries of buckets in seconds, as the conventions have them: for requests, and for connections. */
export const forRequests: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
]
export const forConnections: readonly number[] = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300,
]

/** Of the messages of one channel: the milliseconds they tell of, if any, and their attributes. */
export interface Timing<E> {
  readonly name: string
  readonly description: string
  readonly buckets: readonly number[]
  readonly channel: keyof Events
  readonly ms: (event: E) => number | undefined
  /** Certainly of the same attributes. Each its own function, which V8 sees one shape of message in. */
  readonly alike: (one: E, other: E) => boolean
  /** The same for the same attributes. */
  readonly key: (event: E) => readonly unknown[]
  readonly attributes: (event: E) => Attributes
}

export type AnyTiming = Timing<never>

const timing = <K extends keyof Events>(each: Timing<Events[K]> & { readonly channel: K }): AnyTiming => each

const keyOfRequest = ({ client, origin, method, protocol }: Events['drained:request']): unknown[] => [
  client,
  origin,
  methodOf(method),
  protocol,
]

function ofRequest({ client, origin, method, protocol }: Events['drained:request']): Attributes {
  const attributes: Attributes = {
    ...serverOf(origin),
    'drained.client': client,
    'http.request.method': methodOf(method),
  }
  if (protocol !== undefined) attributes['network.protocol.version'] = protocol
  return attributes
}

export const timings: readonly AnyTiming[] = [
  timing({
    name: 'http.client.request.duration',
    description: 'From the dispatch of a request to the end of its response',
    buckets: forRequests,
    channel: 'drained:request',
    ms: ({ duration }) => duration,
    alike: (one, other) =>
      one.client === other.client &&
      one.origin === other.origin &&
      one.method === other.method &&
      one.protocol === other.protocol &&
      one.status === other.status &&
      one.code === other.code,
    key: ({ client, origin, method, protocol, status, code }) => [
      client,
      origin,
      methodOf(method),
      protocol,
      status,
      failureOf(status, code),
    ],
    attributes(event) {
      const attributes = ofRequest(event)
      const { status, code } = event
      if (status !== undefined) attributes['http.response.status_code'] = status
      const failure = failureOf(status, code)
      if (failure !== undefined) attributes['error.type'] = failure
      return attributes
    },
  }),
  timing({
    name: 'http.client.request.time_in_queue',
    description: 'How long requests waited for a connection, of those that did',
    buckets: forRequests,
    channel: 'drained:request',
    ms: ({ waited }) => waited,
    alike: (one, other) =>
      one.client === other.client &&
      one.origin === other.origin &&
      one.method === other.method &&
      one.protocol === other.protocol,
    key: keyOfRequest,
    attributes: ofRequest,
  }),
  timing({
    name: 'http.client.connection.duration',
    description: 'How long connections stood after their first request',
    buckets: forConnections,
    channel: 'drained:connection',
    ms: ({ state, duration }) => (state === 'closed' ? duration : undefined),
    alike: (one, other) =>
      one.client === other.client && one.origin === other.origin && one.protocol === other.protocol,
    key: ({ client, origin, protocol }) => [client, origin, protocol],
    attributes: ({ client, origin, protocol }) => ({
      ...serverOf(origin),
      'drained.client': client,
      'network.protocol.version': protocol,
    }),
  }),
  timing({
    name: 'drained.body.held',
    description: 'How long bodies were open: from their headers to their outcome',
    buckets: forRequests,
    channel: 'drained:body',
    ms: ({ held }) => held,
    alike: (one, other) =>
      one.client === other.client &&
      one.origin === other.origin &&
      one.outcome === other.outcome &&
      one.reason === other.reason,
    key: ({ client, origin, outcome, reason }) => [client, origin, outcome, reason],
    attributes: ({ client, origin, outcome, reason }) => ({
      ...serverOf(origin),
      'drained.client': client,
      'drained.outcome': outcome,
      'drained.reason': reason,
    }),
  }),
]
