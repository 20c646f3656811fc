/** What `npm start` and the process of one client say to each other. */

export const clientNames = ['drained', 'undici', 'node', 'http'] as const
export type ClientName = (typeof clientNames)[number]

/** Connections each client may have, except Node's own fetch, which has no such option. */
export const poolSize = 8

/** The client is asked to make these calls, in turn until `count` of them have been made. */
export interface Task {
  readonly client: ClientName
  readonly targets: readonly Target[]
  readonly count: number
  readonly concurrency: number
  readonly method: string
  readonly body: string | undefined
  /** Milliseconds in which no call settles, after which the client counts as hung. */
  readonly patience: number
}

export interface Target {
  /** A name without secrets. */
  readonly kind: string
  readonly url: string
}

/** What became of the calls of one kind. */
export interface Kind {
  begun: number
  done: number
  failed: number
}

/** What the client says every `tick` ms, until it is ended. */
export interface Progress extends Readonly<Kind> {
  /** Since the first call was made. */
  readonly ms: number
  /** Every call has settled, or none did for `patience`. */
  readonly ended: boolean
  readonly kinds: Readonly<Record<string, Kind>>
  /** Sockets as the client's own process sees them. */
  readonly opened: number
  readonly open: number
  /** Local and remote port of sockets opened since the last message. */
  readonly ports: readonly PortPair[]
  /** Why a call failed, without secrets: the last one. */
  readonly error?: string
}

export type PortPair = readonly [local: number, remote: number]

export const tick = 50
