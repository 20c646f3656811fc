/** What a report says of a program: plain data, as `--json` prints it. Everything in it may be shown: secrets are gone. */
import type { LeakEvent, Outcome, Reason, StarvationEvent } from '../events.ts'
import type { Waits } from './waits.ts'

export interface Report {
  /** As the program was named. */
  readonly program: string
  readonly node: string
  readonly pid: number
  /** ISO 8601. */
  readonly started: string
  readonly seconds: number
  /** `exit code 0`, `SIGTERM`, or `running`. */
  readonly ended: string
  /** `fetch` is Node's own on drained's connections: who calls it is not known. */
  readonly hasNodeFetch: boolean
  /** All origins together. */
  readonly total: Counts
  /** The one with the most requests first. */
  readonly origins: readonly OriginReport[]
  /** The one with the most occurrences first. */
  readonly leaks: readonly LeakReport[]
  /** Places beyond those that are kept, with a call site or without. */
  readonly moreLeaks: number
  /** Who kept the connections when requests had waited for long: the last time of each origin. */
  readonly starvations: readonly Starvation[]
  readonly samples: readonly Sample[]
}

export interface OriginReport extends Counts {
  /** Several, where more than one client talks to it. */
  readonly client: string
  readonly origin: string
}

export interface Counts {
  /** Written to a connection; one that is sent again counts again. */
  readonly requests: number
  /** Ended without ever having had a connection. */
  readonly unsent: number
  readonly sockets: {
    readonly opened: number
    readonly reused: number
    readonly reset: number
    /** Now. */
    readonly open: number
    /** The most at once. */
    readonly most: number
  }
  readonly bodies: { readonly [K in Outcome]: { readonly [R in Reason]?: number } }
  readonly bytes: { readonly read: number; readonly drained: number; readonly unread: number }
  /** Untouched bodies that were taken back because others waited. */
  readonly reclaimed: number
  /** Attempts after the first. */
  readonly retries: number
  /** Warnings that a request has waited for long. */
  readonly starved: number
  readonly waits: Waits
}

export type Starvation = Pick<
  StarvationEvent,
  'client' | 'origin' | 'waited' | 'waiting' | 'limit' | 'open' | 'holders'
>

/** The last body forgotten at one place; `count` is the least there were, since leaks are told of at 1, 10, 100 and so on. */
export interface LeakReport extends Omit<LeakEvent, 'site'> {
  /** The line of source at its call site. */
  readonly source: string | undefined
}

/** A stretch of time that begins where the one before ends. */
export interface Sample {
  /** Seconds since the start at its end. */
  readonly at: number
  /** The most connections open at once in it. */
  readonly sockets: number
  /** The most requests seen waiting in it. */
  readonly waiting: number
}
