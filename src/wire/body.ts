/**
 * One response body between its socket and its reader: an undici handler towards the wire, a controller towards the reader.
 *
 *     waiting → flowing ⇄ holding → read
 *                    ↘ (given up) → draining → drained | closed
 *
 * Pausing it makes it hold what arrives; giving it up settles the wire behind the reader's back. It never refers to a Response, so
 * that one nobody refers to can be collected while the socket still delivers.
 */
import type { Socket } from 'node:net'
import { type Dispatcher, errors } from 'undici'
import { BodyGivenUpError, BodyReclaimedError, TimeoutError } from '../errors.ts'
import { type EndedBy, type Outcome, publish, type Reason } from '../events.ts'
import type { ResolvedDrain } from '../options.ts'
import type { QueueAware } from '../queued.ts'
import { atTurnEnd, type TurnTask } from '../turn.ts'
import { Account } from './account.ts'
import { Ahead } from './ahead.ts'
import type { ResponseHead } from './framing.ts'
import { closeByReset, isHttp2 } from './internals.ts'
import { leastForSpeed, type Origin } from './origin.ts'
import { Reader } from './reader.ts'
import { canBeSentAgain, isDeadConnection, isWhole } from './resend.ts'
import { Rostered } from './roster.ts'
import { Draining, howToEnd } from './settle.ts'
import { expectSocket } from './sockets.ts'

type Controller = Dispatcher.DispatchController
type Handler = Dispatcher.DispatchHandler & QueueAware
type Headers = ResponseHead['headers']
type State = 'waiting' | 'flowing' | 'holding' | 'draining' | 'done'

/** Of a request that was given up in the queue of a dispatcher, which keeps the rest. */
const nobody: Handler = {}

/** Leaves what a dispatcher looks at before it starts a request. */
function hollow(opts: Dispatcher.DispatchOptions): void {
  for (const name of Object.keys(opts)) {
    if (name !== 'origin' && name !== 'path' && name !== 'method') delete opts[name as keyof typeof opts]
  }
}

export class Body extends Rostered implements Handler, TurnTask {
  /** When it was dispatched. */
  readonly since: number = performance.now()
  /** When it began to wait untouched, 0 before. */
  waitingSince = 0
  startedAt = 0
  wire: Controller | null = null
  readonly isPooled: boolean
  hasPlace = false
  #handler: Handler
  readonly #origin: Origin
  readonly #limits: ResolvedDrain
  #reader: Reader = new Reader(this)
  readonly #dispatch: Dispatcher['dispatch']
  /** To send it again with, until the first byte of the response. */
  #opts: Dispatcher.DispatchOptions | undefined
  /** Dispatched when nothing stood in the way but the making of a connection. */
  #hadRoom: boolean
  /** All of it is written to the present connection. */
  #requestSent: boolean
  #bodyBegun = false
  /** The present connection had carried requests before. */
  #isOnReused = false
  /** The present connection was gone before the request was written to it. */
  #isUnsent = false
  /** The server answers nothing more on the present connection. */
  #isLast = false
  #isAnnounced = false
  /** Its reader is hearing of the start; nothing is written yet. */
  #isStarting = false
  /** Its reader has heard of the first start, and hears of no other. */
  #isResent = false
  /** The reader knows that the request was sent. */
  #isKnownSent = false
  /** Started more than once. */
  #hasMoved = false
  #state: State = 'waiting'
  #socket: Socket | undefined
  readonly #account: Account
  #ahead: Ahead | undefined
  #isFlushing = false
  #isTurnDue = false
  /** The reader has asked for more after it had paused: somebody is there. */
  #isTouched = false
  /** The wire was stopped, so the time it took says nothing of its speed. */
  #wasStopped = false
  /** The trailers, once the end has arrived while bytes are still held. */
  #end: Headers | undefined
  #draining: Draining | undefined

  constructor(
    dispatch: Dispatcher['dispatch'],
    opts: Dispatcher.DispatchOptions,
    handler: Handler,
    origin: Origin,
    limits: ResolvedDrain,
    isPooled: boolean,
  ) {
    super()
    this.isPooled = isPooled
    this.#dispatch = dispatch
    this.#opts = opts
    this.#account = new Account(origin, opts.method, opts.path)
    this.#handler = handler
    this.#origin = origin
    this.#limits = limits
    this.#hadRoom = origin.hasRoom
    this.#requestSent = opts.body == null
    origin.wait(this)
  }

  /** To the wire, or into the queue; the reader can take it back from either. */
  send(): boolean {
    if (!this.#isAnnounced) {
      this.#isAnnounced = true
      this.#handler.onRequestQueued?.(this.#reader)
    }
    return this.#state !== 'done' && this.#origin.admits(this) && this.#toWire()
  }

  onAdmitted(): void {
    this.#hadRoom = false
    this.#origin.wait(this)
    this.#toWire()
  }

  /** What a dispatcher throws (one of undici's own does not) reaches the reader like any other failure. */
  #toWire(): boolean {
    try {
      return this.#dispatch(this.#opts as Dispatcher.DispatchOptions, this)
    } catch (error) {
      this.onResponseError(null, error as Error)
      return false
    }
  }

  // ---- from the wire

  onRequestStart(controller: Controller, context: unknown): void {
    if (this.#state === 'done') {
      this.#refuse(controller, new BodyGivenUpError())
      return
    }
    // HTTP/2 starts a request again on another connection when the first one is going away; a redirect below us does for each hop.
    if (this.wire !== null) {
      this.#hasMoved = true
      this.#leaveWire()
      this.#socket = undefined
    }
    this.wire = controller
    this.#origin.start(this)
    const { error } = this.#origin.scope
    if (error !== undefined) {
      this.giveUp('client', error)
      return
    }
    expectSocket(this)
    if (this.#isResent) return
    this.#isStarting = true
    this.#handler.onRequestStart?.(this.#reader, context)
    this.#isStarting = false
    const reason = this.#reader.reason ?? this.#origin.scope.error
    if (reason !== null && reason !== undefined) this.#refuse(controller, reason)
  }

  /** Instead of a request that nobody wants any more: undici takes an abort for the end of the connection, too, and an error not. */
  #refuse(controller: Controller, reason: Error): void {
    if (!this.isPooled) {
      controller.abort(reason)
      return
    }
    this.#origin.vacate(this)
    throw reason
  }

  get isAborted(): boolean {
    return this.#state !== 'waiting' || (this.wire?.aborted ?? false)
  }

  /** A forwarding proxy is sent the origin before the path, and `query` comes behind it; a redirect below us goes elsewhere. */
  maySend(method: string, path: string): boolean {
    const { method: own, path: asked } = this.#account
    return this.#hasMoved || (method === own && (path === asked || path.includes(asked)))
  }

  onSocket(socket: Socket): void {
    this.#socket = socket
    this.#isOnReused = !this.#origin.attach(socket)
    if (this.#isOnReused && this.#origin.isStale(socket) && isWhole(this.#opts?.body)) {
      // A program that was busy for long: the timer that closes such a connection is late, too. What is written now goes nowhere.
      this.#isUnsent = true
      socket.destroy(new errors.SocketError('The connection was idle for too long'))
    }
    if (!this.#isOnReused && this.#hadRoom) this.#origin.noteConnect(performance.now() - this.since)
  }

  onBodySent(chunk: Buffer): void {
    this.#bodyBegun = true
    if (!this.#isResent) this.#handler.onBodySent?.(chunk)
  }

  /** A byte of it is here. */
  onResponseStarted(): void {
    this.#opts = undefined
    this.#handler.onResponseStarted?.()
  }

  onRequestSent(): void {
    this.#requestSent = true
    if (this.#isKnownSent) return
    this.#isKnownSent = true
    this.#handler.onRequestSent?.()
  }

  onRequestUpgrade(
    ...[, status, headers, socket]: Parameters<NonNullable<Handler['onRequestUpgrade']>>
  ): void {
    // The socket now belongs to whoever asked for the upgrade.
    this.#leavePool()
    if (this.#socket !== undefined) this.#origin.forget(this.#socket)
    this.#state = 'done'
    this.#handler.onRequestUpgrade?.(this.#reader, status, headers, socket)
  }

  onResponseStart(_: Controller, status: number, headers: Headers, statusText?: string): void {
    this.#opts = undefined
    if (status < 200) {
      this.#handler.onResponseStart?.(this.#reader, status, headers, statusText)
      return
    }
    this.#account.open(status, headers)
    if (this.#socket !== undefined)
      this.#isLast = this.#origin.noteKeepAlive(this.#socket, headers['keep-alive'])
    this.#state = 'flowing'
    this.startedAt = performance.now()
    try {
      this.#handler.onResponseStart?.(this.#reader, status, headers, statusText)
    } catch (error) {
      this.giveUp('reader', error as Error)
    }
    // Paused before there was anything to pause.
    if (this.#reader.paused) this.onPause()
  }

  onResponseData(_: Controller, chunk: Buffer): void {
    const account = this.#account
    account.receive(chunk.length)
    if (this.#state === 'draining') {
      account.dropped += chunk.length
      if (this.#draining?.takes(chunk.length, account.remaining === undefined) === false) this.#close('bytes')
    } else if (this.#state === 'holding' || this.#isFlushing) {
      this.#hold(chunk)
    } else if (this.#state === 'flowing') {
      this.#deliver(chunk)
    }
  }

  onResponseEnd(_: Controller, trailers: Headers): void {
    if (this.#state === 'done') return
    const { received } = this.#account
    if (!this.#wasStopped && received >= leastForSpeed)
      this.#origin.noteSpeed(received, performance.now() - this.startedAt)
    this.#leavePool()
    if (this.#state === 'draining') {
      this.#settle('drained', 'ended')
      this.#forgetWire()
    } else if (this.#ahead !== undefined && this.#ahead.length > 0) {
      this.#end = trailers
      this.#ahead.expectNoMore()
      this.#atTurnEnd()
    } else {
      this.#finish(trailers)
    }
  }

  /** Most bodies are being read by now, or have been. */
  onTurnEnd(): void {
    this.#isTurnDue = false
    if (this.#state !== 'holding') return
    if (this.#end === undefined) {
      if (this.#isTouched || this.waitingSince !== 0) return
      this.waitingSince = performance.now()
      this.#origin.addUntouched(this)
    } else if (this.#ahead !== undefined && this.#ahead.length > 0) {
      // From here on, only its reader keeps this body alive.
      const { method, path, read, head } = this.#account
      this.#ahead.bequeath(this, { method, path, status: head?.status ?? 0 }, read)
    }
  }

  onResponseError(controller: Controller | null, error: Error): void {
    const state = this.#state
    if (state === 'done') {
      this.#origin.vacate(this)
      return
    }
    // HTTP/2: undici takes the end of the connection for a failure of streams whose end has come, too, but is not told yet.
    if (controller !== null && state !== 'waiting' && this.#account.remaining === 0) {
      this.onResponseEnd(controller, {})
      return
    }
    if (this.#mayBeResent(error)) {
      this.#resend(error)
      return
    }
    this.#leavePool()
    if (state === 'waiting') {
      this.#state = 'done'
      this.#opts = undefined
    } else {
      if (state !== 'draining') this.#account.endedBy = 'wire'
      this.#settle('closed', 'failed')
    }
    if (state !== 'draining') this.#handler.onResponseError?.(this.#reader, error)
    this.#forgetWire()
  }

  /** As long as the connections are kept ones: each failure takes one away, and the last try is on a new one. */
  #mayBeResent(error: Error): boolean {
    const opts = this.#opts
    if (opts === undefined || this.#hasMoved || this.#reader.aborted || this.#origin.scope.closing)
      return false
    // Not begun: undici fails what waits for an idle connection when that one breaks.
    if (this.wire === null) return this.#origin.hasLost(error)
    if (!this.#isOnReused || !isDeadConnection(error)) return false
    return this.#isUnsent || canBeSentAgain(opts, this.#bodyBegun)
  }

  /** In the place it has. */
  #resend(error: Error): void {
    this.#leaveWire()
    if (this.wire !== null) this.#isResent = true
    this.#forgetWire()
    this.#isOnReused = this.#isUnsent = this.#hadRoom = false
    this.#requestSent = this.#opts?.body == null
    this.#origin.counts.resent++
    this.#origin.wait(this)
    // Not now: whoever reports a dead connection (HTTP/2: with many requests on it) has not let go of it yet.
    queueMicrotask(() => {
      if (this.#state !== 'waiting') return
      if (this.#origin.scope.closing) this.onResponseError(null, error)
      else this.#toWire()
    })
  }

  // ---- from the reader

  onPause(): void {
    if (this.#state !== 'flowing') return
    this.#state = 'holding'
    if (!this.#isTouched) {
      this.#atTurnEnd()
    }
    this.#regulate()
  }

  onResume(): void {
    if (this.#state !== 'holding') return
    this.#isTouched = true
    if (this.waitingSince !== 0) this.#origin.removeUntouched(this)
    this.#state = 'flowing'
    this.#flush()
  }

  /** The reader is told at once; the wire is settled behind it. */
  giveUp(by: EndedBy, reason: Error): void {
    if (this.#state === 'done' || this.#state === 'draining') return
    if (this.#state === 'waiting') {
      // There is nothing to drain: the request is over, and with it its connection.
      if (this.wire === null) this.#abandon(reason)
      else if (!this.#isStarting) this.#abortWire(reason)
      return
    }
    this.#account.endedBy = by
    this.#state = 'draining'
    this.#dropAhead()
    const hasArrived = this.#end !== undefined
    if (!hasArrived) this.#origin.counts.draining++
    try {
      this.#handler.onResponseError?.(this.#reader, reason)
    } finally {
      if (hasArrived) {
        this.#settle('drained', 'received')
        this.#forgetWire()
      } else {
        this.#endWire(reason)
      }
    }
  }

  // ---- from the origin

  get path(): string {
    return this.#account.path
  }

  reclaim(age: number): void {
    const { name, scope, waiting } = this.#origin
    const facts = { origin: name, age, received: this.#account.received }
    publish('drained:reclaim', () => ({ ...facts, ...this.#account.request, client: scope.client, waiting }))
    this.giveUp('reclaim', new BodyReclaimedError(facts))
  }

  /** The client closes, so nobody wants the connection. */
  stopDraining(): void {
    if (this.#state === 'draining') this.#close('closing')
  }

  /** The budget has room again. */
  onRoom(): void {
    this.#regulate()
  }

  // ---- between them

  #atTurnEnd(): void {
    if (this.#isTurnDue) return
    this.#isTurnDue = true
    atTurnEnd(this)
  }

  #deliver(chunk: Buffer): void {
    this.#account.deliver(chunk.length)
    try {
      this.#handler.onResponseData?.(this.#reader, chunk)
    } catch (error) {
      this.giveUp('reader', error as Error)
    }
  }

  #hold(chunk: Buffer): void {
    this.#ahead ??= new Ahead(this.#origin, this.#limits)
    this.#ahead.push(chunk)
    this.#regulate()
  }

  /** Lets the wire run while what it will bring may be held; stops it otherwise. */
  #regulate(): void {
    if (this.#state !== 'holding' || this.#end !== undefined) return
    this.#ahead ??= new Ahead(this.#origin, this.#limits)
    if (this.#ahead.mayGrow(this.#account.remaining, this)) {
      this.wire?.resume()
    } else {
      this.#wasStopped = true
      this.wire?.pause()
    }
  }

  #flush(): void {
    if (this.#isFlushing) return
    const ahead = this.#ahead
    if (ahead !== undefined) {
      this.#isFlushing = true
      while (this.#state === 'flowing') {
        const chunk = ahead.shift()
        if (chunk === undefined) break
        this.#deliver(chunk)
      }
      this.#isFlushing = false
      if (this.#state === 'flowing' || this.#end !== undefined) ahead.expectNoMore()
    }
    // Not if the reader paused or gave up meanwhile.
    if (this.#state !== 'flowing') return
    if (this.#end === undefined) this.wire?.resume()
    else this.#finish(this.#end)
  }

  #dropAhead(): void {
    this.#account.dropped += this.#ahead?.drop(this) ?? 0
  }

  #finish(trailers: Headers): void {
    this.#settle('read', 'complete')
    try {
      this.#handler.onResponseEnd?.(this.#reader, trailers)
    } catch (error) {
      // A handler may refuse the whole response at its end (undici's retry does), and wants to hear of it.
      this.#handler.onResponseError?.(this.#reader, error as Error)
    }
    this.#forgetWire()
  }

  /** Drains or closes, whichever is cheaper. */
  #endWire(reason: Error): void {
    // Telling the reader may have ended everything already, by way of the client.
    if (this.#state !== 'draining') return
    const decision = howToEnd(
      this.#account,
      this.#origin,
      this.#limits,
      this.#socket,
      this.#requestSent && !this.#isLast,
    )
    this.#origin.removeUntouched(this)
    if (decision.action === 'close') {
      if (decision.reason === 'cost' || decision.reason === 'time') this.#origin.noteForgone()
      this.#close(decision.reason)
      return
    }
    // It has just been found that nothing comes.
    if (reason instanceof TimeoutError && reason.phase === 'body') return this.#close('time')
    this.#draining = new Draining(decision, () => this.#close('time'))
    // Not now: undici's parser must not be entered twice, and whoever gives up may be called by it.
    queueMicrotask(() => {
      if (this.#state === 'draining') this.wire?.resume()
    })
  }

  /** Not on the wire, and never to be: what a dispatcher may still have of it holds nothing. */
  #abandon(reason: Error): void {
    const handler = this.#handler
    const reader = this.#reader
    this.#state = 'done'
    this.#handler = nobody
    // Its reason is an error, which holds on to whoever was running when it was made.
    this.#reader = new Reader(this)
    this.#origin.abandon(this)
    if (this.#opts !== undefined && handler.onRequestQueued !== undefined) hollow(this.#opts)
    this.#opts = undefined
    handler.onResponseError?.(reader, reason)
  }

  #close(reason: Reason): void {
    this.#settle('closed', reason)
    this.#abortWire(
      new BodyGivenUpError(`The response body was given up and its connection closed (${reason})`),
    )
  }

  /** On HTTP/1 undici destroys the connection; it does so by a reset. */
  #abortWire(reason: Error): void {
    const socket = this.#socket
    if (socket !== undefined && !isHttp2(socket)) {
      this.#origin.noteReset(socket)
      closeByReset(socket)
    }
    this.#leaveWire()
    this.wire?.abort(reason)
    this.#origin.vacate(this)
    this.#forgetWire()
  }

  /** A reader may keep this body long after its end; the raw headers alone would keep 64 KiB of the connection's reads alive. */
  #forgetWire(): void {
    this.wire = null
    this.#socket = undefined
  }

  /** The connection has no more to do with this body. */
  #leaveWire(): void {
    this.#draining?.end()
    this.#origin.leave(this, this.#socket)
  }

  #leavePool(): void {
    this.#leaveWire()
    this.#origin.vacate(this)
  }

  #settle(outcome: Outcome, reason: Reason): void {
    if (this.#state === 'draining' && this.#end === undefined) this.#origin.counts.draining--
    this.#state = 'done'
    this.#dropAhead()
    this.#account.close(outcome, reason)
  }
}
