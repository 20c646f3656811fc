/** What is known of one origin: its sockets, who waits, the open bodies, and how fast it is. Decides who is reclaimed. */
import type { Socket } from 'node:net'
import type { BusyPool } from '../errors.ts'
import {
  type CallSite,
  type EndedBy,
  type HolderState,
  publish,
  type Outcome,
  type Reason,
  redactUrl,
  type WaitEvent,
} from '../events.ts'
import { forAll } from '../for-all.ts'
import type { Leaks } from '../leaks.ts'
import { Connections } from './connections.ts'
import { Deferred, patience, type Sendable } from './deferred.ts'
import { Queue, type Queued } from './queue.ts'
import { Recent } from './recent.ts'
import { Reclaim } from './reclaim.ts'
import { Roster } from './roster.ts'
import { Speed } from './speed.ts'
import { Starvation } from './starvation.ts'
import { type Counts, newCounts } from './stats.ts'

/** What a request or a body does with its connection. */
export interface Holding {
  readonly state: HolderState
  readonly method: string
  /** Bytes of the body so far. */
  readonly received: number
  readonly site: CallSite | undefined
}

/** A request and its body as their origin knows them: waiting for a connection, then on one. */
export interface Tracked extends Queued {
  /** It goes to the pool of the client, whose limit is known. */
  readonly isPooled: boolean
  readonly path: string
  /** When it was dispatched (`performance.now()`). */
  readonly since: number
  /** When its headers came. */
  readonly startedAt: number
  /** When it began to wait untouched. */
  readonly waitingSince: number
  readonly holding: Holding
  reclaim(age: number): void
  stopDraining(): void
  giveUp(by: EndedBy, reason: Error): void
}

/** What all origins of one interceptor share. */
export interface Scope {
  readonly client: string
  /** Connections one origin may have, if that is known. */
  readonly limit: number | undefined
  readonly stall: number
  /** Milliseconds a request may wait until that is reported. */
  readonly warn: number
  /** Undefined: nobody wants to know of them. */
  readonly leaks: Leaks | undefined
  /** Whoever closes the client waits for its bodies: they are not on a dispatcher of the user's own. */
  readonly isAwaited: boolean
  closing: boolean
  /** Why the client was destroyed. */
  error: Error | undefined
}

export class Origin {
  readonly name: string
  readonly counts: Counts = newCounts()
  readonly speed: Speed = new Speed()
  readonly scope: Scope
  readonly connections: Connections
  /** Bodies that keep a connection and that nobody has touched. */
  readonly untouched: Reclaim<Tracked> = new Reclaim<Tracked>(this)
  readonly #waiters = new Roster<Tracked>()
  readonly #live = new Roster<Tracked>()
  readonly #queue: Queue<Tracked> | undefined
  readonly #deferred = new Deferred()
  /** Bodies whose headers have just come, and that may have a short way to their end. */
  readonly #begun = new Recent()
  /** Connections whose response has ended in this turn of the event loop: undici frees them at its end. */
  #settling = 0
  readonly #starvation: Starvation

  constructor(name: string, scope: Scope) {
    this.name = name
    this.scope = scope
    this.connections = new Connections(this)
    if (scope.limit !== undefined) this.#queue = new Queue<Tracked>(scope.limit)
    this.#starvation = new Starvation(this)
  }

  /** Nothing of it is in use, so it can be forgotten. */
  get isIdle(): boolean {
    return (
      this.connections.size === 0 && this.waiting === 0 && this.#live.size === 0 && this.counts.open === 0
    )
  }

  get sockets(): { open: number; idle: number } {
    return { open: this.connections.size, idle: this.connections.size - this.connections.busy }
  }

  get waiting(): number {
    return this.#waiters.size + (this.#queue?.waiting.size ?? 0)
  }

  get inFlight(): number {
    return this.#live.size
  }

  /** Who holds the connections that others wait for: of the client's own pool, or of other dispatchers. */
  busy(isPooled: boolean): BusyPool {
    let open = 0
    let oldest: Tracked | undefined
    for (let body = this.#live.first; body !== undefined; body = body.next as Tracked | undefined) {
      if (body.isPooled !== isPooled || body.startedAt === 0) continue
      open++
      if (oldest === undefined || body.startedAt < oldest.startedAt) oldest = body
    }
    const { name, scope } = this
    const pool = { name: scope.client, origin: name, limit: isPooled ? scope.limit : undefined, open }
    if (oldest === undefined) return pool
    const url = redactUrl(name + oldest.path)
    return { ...pool, oldest: { age: performance.now() - oldest.startedAt, url } }
  }

  /** Those that keep connections. */
  get holders(): readonly Tracked[] {
    return this.#live.all()
  }

  /** When the request was dispatched that waits for a connection longest, not counting those whose connection is being made. */
  get waitingSince(): number | undefined {
    const queued = this.#queue?.waiting.first
    let elsewhere = this.#waiters.first
    while (elsewhere?.isPooled === true) elsewhere = elsewhere.next as Tracked | undefined
    if (queued === undefined || elsewhere === undefined) return (queued ?? elsewhere)?.since
    return Math.min(queued.since, elsewhere.since)
  }

  /** True if a request that starts to wait now waits for nothing but the making of a connection. */
  get hasRoom(): boolean {
    return this.waiting === 0 && (this.scope.limit === undefined || this.connections.size < this.scope.limit)
  }

  /** Sends a request as soon as a connection is free, but within {@link patience}. */
  defer(request: Sendable): void {
    this.#deferred.add(request)
  }

  /**
   * A request that is sent now would probably waste a connection: all are busy, one more would be opened, and there are bodies
   * about to end that no other request counts on.
   */
  get isWorthWaiting(): boolean {
    const { size, busy, isMultiplexed } = this.connections
    // Those that were sent before this one and have no connection yet: an idle one may be meant for them.
    const sent = this.#waiters.size - this.#deferred.length - 1
    if (isMultiplexed || size === 0 || busy + this.#settling + sent < size) return false
    if (this.scope.limit !== undefined && size >= this.scope.limit) return false
    const soonFree = this.#settling + this.counts.draining + this.#begun.since(performance.now() - patience)
    return this.#deferred.length < soonFree
  }

  readonly #onSettled = (): void => {
    this.#settling = 0
    this.#deferred.onTurnEnd()
  }

  wait(body: Tracked): void {
    this.waitOn(body)
    if (!body.isPooled) this.#starvation.watch()
    this.untouched.reviewSoon()
  }

  /** In another place, but for a connection that has been thought of already: nobody has to be taken back for it. */
  waitOn(body: Tracked): void {
    this.#waiters.add(body)
  }

  /** True if the dispatcher below can have this request now; else it waits in the queue for its `onAdmitted()`. */
  admits(body: Tracked): boolean {
    if (!body.isPooled || this.#queue === undefined || this.#queue.enter(body)) return true
    this.#starvation.watch()
    return false
  }

  /** Given up while it waited. A place it has in the pool it keeps until undici lets go of it. */
  abandon(body: Tracked): void {
    this.noteWait(body, 'none')
    body.roster?.remove(body)
    if (this.waiting === 0) this.untouched.rest()
  }

  /** The dispatcher below has no more to do with this request. */
  vacate(body: Tracked): void {
    this.#queue?.vacate(body)
  }

  /** The request has a connection. */
  start(body: Tracked): void {
    this.#live.add(body)
    if (this.waiting === 0) this.untouched.rest()
  }

  /** The headers of a body have come. */
  begin(at: number): void {
    this.counts.open++
    this.#begun.begin(at)
  }

  /** The connection has no more to do with this body. */
  leave(body: Tracked, socket: Socket | undefined): void {
    this.#waiters.remove(body)
    if (body.waitingSince !== 0) this.untouched.remove(body)
    if (this.waiting === 0) this.untouched.rest()
    if (!this.#live.remove(body)) return
    if (body.startedAt !== 0) this.#begun.end(body.startedAt)
    if (socket === undefined) return
    if (!this.connections.release(socket)) return
    if (this.#settling++ === 0) setImmediate(this.#onSettled)
    this.#deferred.onFree()
  }

  /** The request is written to this socket. Returns true if the socket is new here. */
  attach(body: Tracked, socket: Socket): boolean {
    const { isMultiplexed } = this.connections
    const isNew = this.connections.attach(socket)
    this.noteWait(body, isNew ? 'opened' : 'reused')
    if (!isNew) return false
    // Not now: undici is writing a request.
    if (this.connections.isMultiplexed && !isMultiplexed) queueMicrotask(() => this.#queue?.open())
    this.untouched.reviewSoon()
    return true
  }

  /** Its waiting is over; with `none`, so is the request. */
  noteWait(body: Tracked, connection: WaitEvent['connection']): void {
    publish('drained:wait', () => ({
      client: this.scope.client,
      origin: this.name,
      waited: performance.now() - body.since,
      connection,
    }))
  }

  noteOutcome(outcome: Outcome, reason: Reason): void {
    const { counts } = this
    counts.open--
    counts[outcome]++
    counts.reasons[reason] = (counts.reasons[reason] ?? 0) + 1
  }

  /** The client closes: drains end now, and untouched bodies after `stall`. */
  stop(): void {
    this.#starvation.stop()
    // The dispatcher below waits for them.
    this.#deferred.releaseAll()
    this.#queue?.open()
    for (const body of this.#live.all()) body.stopDraining()
    this.untouched.reviewSoon()
  }

  /**
   * The client is destroyed: whoever waits or still reads gets the error.
   * @throws what a handler throws, once all have heard of it
   */
  destroy(error: Error): void {
    // First who has no connection: the dispatcher below need not see them, and may be one that nobody destroys.
    const queued = this.#queue?.waiting.all() ?? []
    const all = [...queued, ...this.#waiters.all(), ...this.#live.all()]
    try {
      forAll(all, (body) => body.giveUp('client', error))
    } finally {
      this.stop()
    }
  }

  /** Connections that those who wait lack: when all that may be open are, and for those no connection is about to be free. */
  get needed(): number {
    const { closing, limit } = this.scope
    if (closing) return Infinity
    if (limit !== undefined && this.connections.size < limit) return 0
    return this.waiting - this.counts.draining - this.connections.resetting
  }

  /** Without a known limit a request also waits while its connection is made; then only a long wait is a sign. */
  get neededSince(): number {
    if (this.scope.limit !== undefined || this.scope.closing) return 0
    return this.#waiters.first?.since ?? Infinity
  }
}
