/**
 * One request on its way: to the queue, to a connection, and to another one if the first turns out dead. Its reader hears of one start,
 * can take it back at any time, and never learns of the connections. What comes back is the {@link Body}'s.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import diagnostics from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { type Dispatcher, errors } from 'undici'
import type { Traced } from '../call-site.ts'
import { BodyGivenUpError } from '../errors.ts'
import type { EndedBy } from '../events.ts'
import type { ArrivalAware, QueueAware } from '../queued.ts'
import { closeByReset, isHttp2 } from './internals.ts'
import type { Holding, Origin, Tracked } from './origin.ts'
import { Reader } from './reader.ts'
import { canBeSentAgain, isDeadConnection, isWhole } from './resend.ts'
import { Rostered } from './roster.ts'
import { expectSocket, type Sender } from './sockets.ts'

type Controller = Dispatcher.DispatchController
type Handler = Dispatcher.DispatchHandler & QueueAware & ArrivalAware & Traced
/** `waiting` until the response begins; the others are of its body. */
export type State = 'waiting' | 'flowing' | 'holding' | 'draining' | 'done'

/** Of a request that was given up in the queue of a dispatcher, which keeps the rest. */
const nobody: Handler = {}

/** undici tells of a request as it takes it: whoever traces looks for the caller then. */
const traced = diagnostics.channel('undici:request:create')

/** Leaves what a dispatcher looks at before it starts a request. */
function hollow(opts: Dispatcher.DispatchOptions): void {
  for (const name of Object.keys(opts)) {
    if (name !== 'origin' && name !== 'path' && name !== 'method') delete opts[name as keyof typeof opts]
  }
}

export abstract class Sending extends Rostered implements Tracked, Sender {
  /** When it was dispatched. */
  readonly since: number = performance.now()
  abstract readonly startedAt: number
  abstract readonly waitingSince: number
  abstract readonly holding: Holding
  wire: Controller | null = null
  readonly isPooled: boolean
  readonly path: string
  hasPlace = false
  /** Milliseconds until a connection was there, if it was not at once. */
  protected waited: number | undefined
  protected handler: Handler
  protected readonly origin: Origin
  protected reader: Reader = new Reader(this)
  protected state: State = 'waiting'
  protected socket: Socket | undefined
  /** To send it again with, until the first byte of the response. */
  protected opts: Dispatcher.DispatchOptions | undefined
  /** All of it is written to the present connection. */
  protected requestSent: boolean
  /** Its reader is hearing of the start; nothing is written yet. */
  protected isStarting = false
  readonly #method: string
  readonly #dispatch: Dispatcher['dispatch']
  /** Dispatched when nothing stood in the way but the making of a connection. */
  #hadRoom: boolean
  #bodyBegun = false
  /** The present connection had carried requests before. */
  #isOnReused = false
  /** It is being dispatched for the first time, by its caller. */
  #isAtOnce = false
  /** Runs what it is given as if the caller had called it. */
  #asCaller = traced.hasSubscribers ? AsyncLocalStorage.snapshot() : undefined
  /** The present connection was gone before the request was written to it. */
  #isUnsent = false
  /** Its reader has heard of the first start, and hears of no other. */
  #isResent = false
  /** The reader knows that the request was sent. */
  #isKnownSent = false
  /** Started more than once. */
  #hasMoved = false

  constructor(
    dispatch: Dispatcher['dispatch'],
    opts: Dispatcher.DispatchOptions,
    handler: Handler,
    origin: Origin,
    isPooled: boolean,
  ) {
    super()
    this.#dispatch = dispatch
    this.opts = opts
    this.handler = handler
    this.origin = origin
    this.isPooled = isPooled
    this.#method = opts.method
    this.path = opts.path
    this.#hadRoom = origin.hasRoom
    this.requestSent = opts.body == null
    origin.wait(this)
  }

  abstract onResponseError(controller: Controller | null, error: Error): void
  abstract onPause(): void
  abstract onResume(): void
  abstract giveUp(by: EndedBy, reason: Error): void
  abstract reclaim(age: number): void
  abstract stopDraining(): void

  /** From now on its reader can take it back, wherever it waits. */
  announce(): void {
    this.handler.onRequestQueued?.(this.reader)
  }

  /**
   * To the wire, or into the queue.
   * @param isAtOnce its caller is still there
   */
  send(isAtOnce = false): boolean {
    if (this.state === 'done' || !this.origin.admits(this)) return false
    this.#isAtOnce = isAtOnce
    const sent = this.#toWire()
    this.#isAtOnce = false
    return sent
  }

  onAdmitted(): void {
    this.#hadRoom = false
    this.origin.waitOn(this)
    this.#toWire()
  }

  /** What a dispatcher throws (one of undici's own does not) reaches the reader like any other failure. */
  #toWire(): boolean {
    const opts = this.opts as Dispatcher.DispatchOptions
    const asCaller = this.#isAtOnce ? undefined : this.#asCaller
    try {
      return asCaller === undefined ? this.#dispatch(opts, this) : asCaller(() => this.#dispatch(opts, this))
    } catch (error) {
      this.onResponseError(null, error as Error)
      return false
    }
  }

  onRequestStart(controller: Controller, context: unknown): void {
    if (this.state === 'done') {
      this.#refuse(controller, new BodyGivenUpError())
      return
    }
    // HTTP/2 starts a request again on another connection when the first one is going away; a redirect below us does for each hop.
    if (this.wire !== null) {
      this.#hasMoved = true
      this.leaveWire()
      this.socket = undefined
    }
    this.wire = controller
    this.origin.start(this)
    const { error } = this.origin.scope
    if (error !== undefined) {
      this.giveUp('client', error)
      return
    }
    expectSocket(this)
    if (this.#isResent) return
    this.isStarting = true
    this.handler.onRequestStart?.(this.reader, context)
    this.isStarting = false
    const reason = this.reader.reason ?? this.origin.scope.error
    if (reason !== null && reason !== undefined) this.#refuse(controller, reason)
  }

  /** Instead of a request that nobody wants any more: undici takes an abort for the end of the connection, too, and an error not. */
  #refuse(controller: Controller, reason: Error): void {
    if (!this.isPooled) {
      controller.abort(reason)
      return
    }
    this.origin.vacate(this)
    throw reason
  }

  get isAborted(): boolean {
    return this.state !== 'waiting' || (this.wire?.aborted ?? false)
  }

  /** A forwarding proxy is sent the origin before the path, and `query` comes behind it; a redirect below us goes elsewhere. */
  maySend(method: string, path: string): boolean {
    return this.#hasMoved || (method === this.#method && path.includes(this.path))
  }

  onSocket(socket: Socket): void {
    this.socket = socket
    if (!this.#isAtOnce && !this.#isResent && !this.#hasMoved) this.waited = performance.now() - this.since
    this.#isOnReused = !this.origin.attach(this, socket)
    if (this.#isOnReused && this.origin.connections.isStale(socket) && isWhole(this.opts?.body)) {
      // A program that was busy for long: the timer that closes such a connection is late, too. What is written now goes nowhere.
      this.#isUnsent = true
      socket.destroy(new errors.SocketError('The connection was idle for too long'))
    }
    if (!this.#isOnReused && this.#hadRoom) this.origin.speed.noteConnect(performance.now() - this.since)
  }

  onBodySent(chunk: Buffer): void {
    this.#bodyBegun = true
    if (!this.#isResent) this.handler.onBodySent?.(chunk)
  }

  /** A byte of it is here. */
  onResponseStarted(): void {
    this.forgetRequest()
    this.handler.onResponseStarted?.()
  }

  onRequestSent(): void {
    this.requestSent = true
    if (this.#isKnownSent) return
    this.#isKnownSent = true
    this.handler.onRequestSent?.()
  }

  // ---- for the body

  /** As long as the connections are kept ones: each failure takes one away, and the last try is on a new one. */
  protected mayBeResent(error: Error): boolean {
    const opts = this.opts
    if (opts === undefined || this.#hasMoved || this.reader.aborted || this.origin.scope.closing) return false
    // Not begun: undici fails what waits for an idle connection when that one breaks.
    if (this.wire === null) return this.origin.connections.hasLost(error)
    if (!this.#isOnReused || !isDeadConnection(error)) return false
    return this.#isUnsent || canBeSentAgain(opts, this.#bodyBegun)
  }

  /** In the place it has. */
  protected resend(error: Error): void {
    this.leaveWire()
    if (this.wire !== null) this.#isResent = true
    this.forgetWire()
    this.#isOnReused = this.#isUnsent = this.#hadRoom = false
    this.requestSent = this.opts?.body == null
    this.origin.counts.resent++
    this.origin.waitOn(this)
    // Not now: whoever reports a dead connection (HTTP/2: with many requests on it) has not let go of it yet.
    queueMicrotask(() => {
      // Given up meanwhile: the dispatcher below has let go of it already.
      if (this.state !== 'waiting') return this.origin.vacate(this)
      if (this.origin.scope.closing) this.onResponseError(null, error)
      else this.#toWire()
    })
  }

  /** Not on the wire, and never to be: what a dispatcher may still have of it holds nothing. */
  protected abandon(reason: Error): void {
    const handler = this.handler
    const reader = this.reader
    this.state = 'done'
    this.handler = nobody
    // Its reason is an error, which holds on to whoever was running when it was made.
    this.reader = new Reader(this)
    this.origin.abandon(this)
    if (this.opts !== undefined && handler.onRequestQueued !== undefined) hollow(this.opts)
    this.forgetRequest()
    handler.onResponseError?.(reader, reason)
  }

  /** It is not sent again. What its caller runs in may lead to the Response, which could not be collected while the body comes. */
  protected forgetRequest(): void {
    this.opts = undefined
    this.#asCaller = undefined
  }

  /** On HTTP/1 undici destroys the connection; it does so by a reset. */
  protected abortWire(reason: Error): void {
    const socket = this.socket
    if (socket !== undefined && !isHttp2(socket)) {
      this.origin.connections.noteReset(socket)
      closeByReset(socket)
    }
    this.leaveWire()
    this.wire?.abort(reason)
    this.origin.vacate(this)
    this.forgetWire()
  }

  /** A reader may keep this body long after its end; the raw headers alone would keep 64 KiB of the connection's reads alive. */
  protected forgetWire(): void {
    this.wire = null
    this.socket = undefined
  }

  /** The connection has no more to do with this body. */
  protected leaveWire(): void {
    this.origin.leave(this, this.socket)
  }

  protected leavePool(): void {
    this.leaveWire()
    this.origin.vacate(this)
  }
}
