/** What is known of one origin: its sockets, who waits, the open bodies, and how fast it is. Decides who is reclaimed. */
import type { Socket } from 'node:net'
import { errors } from 'undici'
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
import type { Leaks } from '../leaks.ts'
import { Deferred, patience, type Sendable } from './deferred.ts'
import { endStreamsByCancel, isHttp2 } from './internals.ts'
import { type Keeping, margin, newKeeping, noteKeepAlive } from './keep-alive.ts'
import { Queue, type Queued } from './queue.ts'
import { Roster } from './roster.ts'
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

interface Connection {
  readonly since: number
  requests: number
  active: number
  reset: boolean
  /** When a request may be too late to reach the server before that closes (`performance.now()`). */
  staleAt: number
  readonly keeping: Keeping
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
  closing: boolean
  /** Why the client was destroyed. */
  error: Error | undefined
}

/** Weight of the newest sample: about the last ten count. */
const newest = 0.2
const average = (old: number | undefined, sample: number): number =>
  old === undefined ? sample : old + newest * (sample - old)

/** After six closes in a row ten times as much is thought possible: one drain in vain among as many closes. */
const fading = 1.5

/** Bytes below which a body's speed says more about the scheduler than about the link. */
export const leastForSpeed: number = 16 * 1024

export class Origin {
  readonly name: string
  readonly counts: Counts = newCounts()
  /** Moving average of the milliseconds a new connection took. */
  connectMs: number | undefined
  /** Moving average of bytes per millisecond. */
  bytesPerMs: number | undefined
  readonly scope: Scope
  readonly #connections = new Map<Socket, Connection>()
  readonly #waiters = new Roster<Tracked>()
  /** Untouched bodies that keep a connection, oldest first. */
  readonly #untouched = new Set<Tracked>()
  readonly #live = new Roster<Tracked>()
  readonly #queue: Queue | undefined
  #timer: NodeJS.Timeout | undefined
  #isReviewDue = false
  readonly #deferred = new Deferred()
  /** Connections with a request on them. */
  #busy = 0
  /** Connections being reset: each makes room for a request that waits, as soon as it is closed. */
  #resetting = 0
  /** Connections whose response has ended in this turn of the event loop: undici frees them at its end. */
  #settling = 0
  /** One connection serves many requests at once. */
  #isMultiplexed = false
  readonly #starvation: Starvation

  constructor(name: string, scope: Scope) {
    this.name = name
    this.scope = scope
    if (scope.limit !== undefined) this.#queue = new Queue(scope.limit)
    this.#starvation = new Starvation(this)
  }

  /** Nothing of it is in use, so it can be forgotten. */
  get isIdle(): boolean {
    return (
      this.#connections.size === 0 && this.waiting === 0 && this.#live.size === 0 && this.counts.open === 0
    )
  }

  get sockets(): { open: number; idle: number } {
    return { open: this.#connections.size, idle: this.#connections.size - this.#busy }
  }

  get waiting(): number {
    return this.#waiters.size + (this.#queue?.size ?? 0)
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
    const queued = this.#queue?.first as Tracked | undefined
    let elsewhere = this.#waiters.first
    while (elsewhere?.isPooled === true) elsewhere = elsewhere.next as Tracked | undefined
    if (queued === undefined || elsewhere === undefined) return (queued ?? elsewhere)?.since
    return Math.min(queued.since, elsewhere.since)
  }

  /** True if a request that starts to wait now waits for nothing but the making of a connection. */
  get hasRoom(): boolean {
    return this.waiting === 0 && (this.scope.limit === undefined || this.#connections.size < this.scope.limit)
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
    const { size } = this.#connections
    // Those that were sent before this one and have no connection yet: an idle one may be meant for them.
    const sent = this.#waiters.size - this.#deferred.length - 1
    if (this.#isMultiplexed || size === 0 || this.#busy + this.#settling + sent < size) return false
    if (this.scope.limit !== undefined && size >= this.scope.limit) return false
    const deferred = this.#deferred.length
    let soonFree = this.#settling + this.counts.draining
    if (deferred < soonFree) return true
    const youngest = performance.now() - patience
    for (let body = this.#live.first; body !== undefined; body = body.next as Tracked | undefined) {
      if (body.startedAt > youngest && deferred < ++soonFree) return true
    }
    return false
  }

  readonly #onSettled = (): void => {
    this.#settling = 0
    this.#deferred.onTurnEnd()
  }

  wait(body: Tracked): void {
    this.waitOn(body)
    if (!body.isPooled) this.#starvation.watch()
    if (this.#untouched.size > 0) this.#reviewSoon()
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
    this.noteUnconnected(body)
    body.roster?.remove(body)
  }

  /** The dispatcher below has no more to do with this request. */
  vacate(body: Tracked): void {
    this.#queue?.vacate(body)
  }

  /** The request has a connection. */
  start(body: Tracked): void {
    this.#live.add(body)
    if (this.waiting === 0) this.#timer?.unref()
  }

  /** The connection has no more to do with this body. */
  leave(body: Tracked, socket: Socket | undefined): void {
    this.#waiters.remove(body)
    if (body.waitingSince !== 0) this.#untouched.delete(body)
    if (this.waiting === 0) this.#timer?.unref()
    if (!this.#live.remove(body) || socket === undefined) return
    const connection = this.#connections.get(socket)
    if (connection === undefined || --connection.active > 0) return
    const { idleMs, isLast } = connection.keeping
    connection.staleAt = idleMs === undefined ? Infinity : performance.now() + idleMs - margin
    // undici goes on after such an end as it does after one of its own.
    if (isLast) socket.destroy(new errors.InformationalError('last request of the connection'))
    this.#busy--
    if (this.#settling++ === 0) setImmediate(this.#onSettled)
    this.#deferred.onFree()
  }

  /** The request is written to this socket. Returns true if the socket is new here. */
  attach(body: Tracked, socket: Socket): boolean {
    const known = this.#connections.get(socket)
    if (known !== undefined) {
      known.requests++
      if (known.active++ === 0) this.#busy++
      this.counts.reused++
      this.#publishWait(body, 'reused')
      return false
    }
    const connection: Connection = {
      since: performance.now(),
      requests: 1,
      active: 1,
      reset: false,
      staleAt: Infinity,
      keeping: newKeeping(),
    }
    this.#connections.set(socket, connection)
    this.#busy++
    if (isHttp2(socket)) {
      endStreamsByCancel(socket)
      // Not now: undici is writing a request.
      if (!this.#isMultiplexed) queueMicrotask(() => this.#queue?.open())
      this.#isMultiplexed = true
    }
    this.counts.opened++
    const { localPort } = socket
    const protocol = isHttp2(socket) ? '2' : '1.1'
    this.#publish('opened', connection, localPort, protocol)
    this.#publishWait(body, 'opened')
    socket.once('close', () => {
      this.forget(socket)
      this.#publish('closed', connection, localPort, protocol)
    })
    if (this.#untouched.size > 0) this.#reviewSoon()
    return true
  }

  /** What the server says of how long it keeps a connection of HTTP/1. Returns true if this request is its last. */
  noteKeepAlive(socket: Socket, field: string | string[] | undefined): boolean {
    const connection = this.#connections.get(socket)
    if (connection === undefined || this.#isMultiplexed) return false
    noteKeepAlive(connection.keeping, Array.isArray(field) ? field.join(',') : field, connection.requests)
    return connection.keeping.isLast
  }

  /** This connection, just taken out of its idleness, is about to be closed by the server, if it is not yet. */
  isStale(socket: Socket): boolean {
    const connection = this.#connections.get(socket)
    if (connection === undefined || connection.staleAt === Infinity || connection.active > 1) return false
    return performance.now() > connection.staleAt
  }

  /** This error is the end of a connection that had carried requests, not of one that was being made. */
  hasLost(error: Error): boolean {
    for (const socket of this.#connections.keys()) if (socket.errored === error) return true
    return false
  }

  /** The connection is closed, or belongs to somebody else. */
  forget(socket: Socket): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined) return
    this.#connections.delete(socket)
    if (connection.active > 0) this.#busy--
    if (connection.reset) this.#resetting--
  }

  #publish(
    state: 'opened' | 'closed',
    connection: Connection,
    localPort: number | undefined,
    protocol: '1.1' | '2',
  ): void {
    publish('drained:connection', () => ({
      client: this.scope.client,
      origin: this.name,
      state,
      localPort,
      requests: connection.requests,
      reset: connection.reset,
      protocol,
      duration: performance.now() - connection.since,
    }))
  }

  /** The request is over, and never had a connection. */
  noteUnconnected(body: Tracked): void {
    this.#publishWait(body, 'none')
  }

  #publishWait(body: Tracked, connection: WaitEvent['connection']): void {
    publish('drained:wait', () => ({
      client: this.scope.client,
      origin: this.name,
      waited: performance.now() - body.since,
      connection,
    }))
  }

  noteReset(socket: Socket): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined || connection.reset) return
    connection.reset = true
    this.#resetting++
    this.counts.reset++
  }

  noteConnect(ms: number): void {
    this.connectMs = average(this.connectMs, ms)
  }

  noteSpeed(bytes: number, ms: number): void {
    // Half a millisecond: what came within one turn of the event loop had been waiting in the kernel.
    this.bytesPerMs = average(this.bytesPerMs, bytes / Math.max(ms, 0.5))
  }

  /** A body was closed only because it seemed slow. That brings no sample, so the estimate has to fade, or it would stand for ever. */
  noteForgone(): void {
    if (this.bytesPerMs !== undefined) this.bytesPerMs *= fading
  }

  noteOutcome(outcome: Outcome, reason: Reason): void {
    const { counts } = this
    counts.open--
    counts[outcome]++
    counts.reasons[reason] = (counts.reasons[reason] ?? 0) + 1
  }

  /** This body keeps a connection and nobody has touched it. */
  addUntouched(body: Tracked): void {
    this.#untouched.add(body)
    if (this.waiting > 0 || this.scope.closing) this.#reviewSoon()
  }

  removeUntouched(body: Tracked): void {
    this.#untouched.delete(body)
  }

  /** The client closes: drains end now, and untouched bodies after `stall`. */
  stop(): void {
    this.#releaseAll()
    for (const body of this.#live.all()) body.stopDraining()
    this.#reviewSoon()
  }

  /** The client is destroyed: whoever still reads gets the error. */
  destroy(error: Error): void {
    this.#releaseAll()
    for (const body of this.#live.all()) body.giveUp('client', error)
  }

  /** The dispatcher below waits for them, or ends them. */
  #releaseAll(): void {
    this.#starvation.stop()
    this.#deferred.releaseAll()
    this.#queue?.open()
  }

  /** Soon, not now: undici's parser must not be entered twice, and whoever asks may be called by it. */
  #reviewSoon(): void {
    if (this.#isReviewDue) return
    this.#isReviewDue = true
    queueMicrotask(() => {
      this.#isReviewDue = false
      this.#review()
    })
  }

  /** Reclaims what is due, oldest first and no more than the waiting need, and sets the timer for the next. */
  #review(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { closing, stall } = this.scope
    let needed = closing
      ? Infinity
      : this.#isFull()
        ? this.waiting - this.counts.draining - this.#resetting
        : 0
    const now = performance.now()
    for (const body of this.#untouched) {
      if (needed <= 0) return
      const due = Math.max(body.waitingSince, this.#waitCounts()) + stall
      if (due > now) {
        // One more millisecond: timers round down, and a review too early would only set the next.
        this.#timer = setTimeout(() => this.#review(), due - now + 1)
        // Whoever waits is owed a connection, and a paused one does not keep the process alive: without this timer it would just end.
        if (this.waiting === 0) this.#timer.unref()
        return
      }
      this.#untouched.delete(body)
      needed--
      body.reclaim(now - body.waitingSince)
    }
  }

  /** Without a known limit a request also waits while its connection is made; then only a long wait is a sign. */
  #waitCounts(): number {
    if (this.scope.limit !== undefined || this.scope.closing) return 0
    return this.#waiters.first?.since ?? Infinity
  }

  #isFull(): boolean {
    return this.scope.limit === undefined || this.#connections.size >= this.scope.limit
  }
}
