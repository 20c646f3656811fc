/** Counts what the library's events say, per client and origin, in bounded memory. Knows no clock and no channel. */
import type {
  BodyEvent,
  ConnectionEvent,
  Outcome,
  Reason,
  RetryEvent,
  StarvationEvent,
  WaitEvent,
} from '../events.ts'
import type { Counts, OriginReport, Starvation } from './model.ts'
import { addWait, noWaits, sumOfWaits, type Waits } from './waits.ts'

/** Rows of a report; a crawler's other origins are counted in one. */
const mostOrigins = 200
const others = '(other origins)'

type Reasons = { [R in Reason]?: number }

class Row {
  readonly client: string
  readonly origin: string
  requests = 0
  unsent = 0
  readonly sockets = { opened: 0, reused: 0, reset: 0, open: 0, most: 0 }
  readonly bodies: { readonly [K in Outcome]: Reasons } = { read: {}, drained: {}, closed: {} }
  readonly bytes = { read: 0, drained: 0, unread: 0 }
  reclaimed = 0
  retries = 0
  starved = 0
  starvation: StarvationEvent | undefined
  waits: Waits = noWaits

  constructor(client: string, origin: string) {
    this.client = client
    this.origin = origin
  }

  copy(): OriginReport {
    const { client, origin, requests, unsent, sockets, bodies, bytes, reclaimed, retries, starved, waits } =
      this
    return structuredClone({
      client,
      origin,
      requests,
      unsent,
      sockets,
      bodies,
      bytes,
      reclaimed,
      retries,
      starved,
      waits,
    })
  }
}

/** Where something has happened. */
interface Place {
  readonly client: string
  readonly origin: string
}

/** What is read of an event. */
type Seen<E extends Place, K extends keyof E> = Place & Pick<E, K>

export class Tally {
  readonly #rows = new Map<string, Row>()
  /** Connections that stand. */
  open = 0
  /** The most since {@link takePeak}. */
  #peak = 0
  #most = 0

  onBody(event: Seen<BodyEvent, 'outcome' | 'reason' | 'read' | 'drained' | 'unread'>): void {
    const row = this.#of(event)
    const reasons = row.bodies[event.outcome]
    reasons[event.reason] = (reasons[event.reason] ?? 0) + 1
    row.bytes.read += event.read
    row.bytes.drained += event.drained
    row.bytes.unread += event.unread ?? 0
  }

  onConnection(event: Seen<ConnectionEvent, 'state' | 'reset'>): void {
    const { sockets } = this.#of(event)
    if (event.state === 'opened') {
      sockets.opened++
      sockets.most = Math.max(sockets.most, ++sockets.open)
      this.#peak = Math.max(this.#peak, ++this.open)
      this.#most = Math.max(this.#most, this.open)
      return
    }
    // Opened before anybody listened.
    if (sockets.open === 0) return
    sockets.open--
    this.open--
    if (event.reset) sockets.reset++
  }

  onWait(event: WaitEvent): void {
    const row = this.#of(event)
    row.waits = addWait(row.waits, event.waited)
    if (event.connection === 'none') row.unsent++
    else row.requests++
    if (event.connection === 'reused') row.sockets.reused++
  }

  onReclaim(event: Place): void {
    this.#of(event).reclaimed++
  }

  onRetry(event: Seen<RetryEvent, 'wait'>): void {
    if (event.wait !== undefined) this.#of(event).retries++
  }

  onStarvation(event: StarvationEvent): void {
    const row = this.#of(event)
    row.starved++
    row.starvation = event
  }

  /** The last of each origin, the longest wait first. */
  starvations(): Starvation[] {
    return [...this.#rows.values()]
      .flatMap(({ starvation }) => (starvation === undefined ? [] : [starvation]))
      .toSorted((a, b) => b.waited - a.waited)
      .map(({ client, origin, waited, waiting, limit, open, holders }) => {
        return { client, origin, waited, waiting, limit, open, holders }
      })
  }

  /** The most connections open at once since it was last asked. */
  takePeak(): number {
    const peak = this.#peak
    this.#peak = this.open
    return peak
  }

  /** Copies, the one with the most requests first. */
  origins(): OriginReport[] {
    return [...this.#rows.values()]
      .map((row) => row.copy())
      .toSorted((a, b) => b.requests - a.requests || b.sockets.opened - a.sockets.opened)
  }

  total(): Counts {
    const all = this.origins()
    const sum = (pick: (row: Counts) => number): number => all.reduce((so, row) => so + pick(row), 0)
    return {
      requests: sum((row) => row.requests),
      unsent: sum((row) => row.unsent),
      sockets: {
        opened: sum((row) => row.sockets.opened),
        reused: sum((row) => row.sockets.reused),
        reset: sum((row) => row.sockets.reset),
        open: this.open,
        most: this.#most,
      },
      bodies: {
        read: together(all.map((row) => row.bodies.read)),
        drained: together(all.map((row) => row.bodies.drained)),
        closed: together(all.map((row) => row.bodies.closed)),
      },
      bytes: {
        read: sum((row) => row.bytes.read),
        drained: sum((row) => row.bytes.drained),
        unread: sum((row) => row.bytes.unread),
      },
      reclaimed: sum((row) => row.reclaimed),
      retries: sum((row) => row.retries),
      starved: sum((row) => row.starved),
      waits: sumOfWaits(all.map((row) => row.waits)),
    }
  }

  #of({ client, origin }: Place): Row {
    const key = `${client} ${origin}`
    let row = this.#rows.get(key)
    if (row !== undefined) return row
    const isFull = this.#rows.size >= mostOrigins
    if (isFull) row = this.#rows.get(others)
    if (row !== undefined) return row
    row = isFull ? new Row('', others) : new Row(client, origin)
    this.#rows.set(isFull ? others : key, row)
    return row
  }
}

function together(all: readonly Reasons[]): Reasons {
  const sum: Reasons = {}
  for (const reasons of all) {
    for (const [reason, count] of Object.entries(reasons))
      sum[reason as Reason] = (sum[reason as Reason] ?? 0) + count
  }
  return sum
}

/** Bodies of one outcome, whatever the reason. */
export const countOf = (reasons: Reasons): number =>
  Object.values(reasons).reduce((sum, count) => sum + count, 0)
