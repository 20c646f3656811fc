/**
 * One response body between its socket and its reader: an undici handler towards the wire, a controller towards the reader.
 *
 *     waiting → flowing ⇄ holding → read
 *                    ↘ (given up) → draining → drained | closed
 *
 * Pausing it makes it hold what arrives; giving it up settles the wire behind the reader's back. It never refers to a Response, so
 * that one nobody refers to can be collected while the socket still delivers.
 */
import type { Dispatcher } from 'undici'
import { BodyGivenUpError, BodyReclaimedError, TimeoutError } from '../errors.ts'
import { textOf } from '../call-site.ts'
import { type EndedBy, type HolderState, type Outcome, publish, type Reason } from '../events.ts'
import type { ResolvedDrain } from '../options.ts'
import { atTurnEnd, type TurnTask } from '../turn.ts'
import { Account, codeOf } from './account.ts'
import { Ahead } from './ahead.ts'
import { isRedirect, type ResponseHead } from './framing.ts'
import { type Holding, type Origin } from './origin.ts'
import { Sending } from './sending.ts'
import { Draining, howToEnd } from './settle.ts'

type Controller = Dispatcher.DispatchController
type Handler = Dispatcher.DispatchHandler
type Headers = ResponseHead['headers']

/** Milliseconds between headers and body that any program may need: whoever destroys its client then has forgotten nothing yet. */
const grace = 1_000

export class Body extends Sending implements Handler, TurnTask {
  /** When it began to wait untouched, 0 before. */
  waitingSince = 0
  startedAt = 0
  readonly #limits: ResolvedDrain
  /** The server answers nothing more on this connection. */
  #isLast = false
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
  /** Of the error its reader has got. */
  #code: string | undefined

  constructor(
    dispatch: Dispatcher['dispatch'],
    opts: Dispatcher.DispatchOptions,
    handler: Handler,
    origin: Origin,
    limits: ResolvedDrain,
    isPooled: boolean,
  ) {
    super(dispatch, opts, handler, origin, isPooled)
    this.#account = new Account(origin, opts.method, opts.path)
    this.#limits = limits
  }

  // ---- from the wire

  onRequestUpgrade(
    ...[, status, headers, socket]: Parameters<NonNullable<Handler['onRequestUpgrade']>>
  ): void {
    this.#account.upgrade(status)
    this.#noteLeft()
    // The socket now belongs to whoever asked for the upgrade.
    this.leavePool()
    if (this.socket !== undefined) this.origin.connections.forget(this.socket)
    this.state = 'done'
    this.handler.onRequestUpgrade?.(this.reader, status, headers, socket)
  }

  onResponseStart(_: Controller, status: number, headers: Headers, statusText?: string): void {
    this.opts = undefined
    if (status < 200) {
      this.handler.onResponseStart?.(this.reader, status, headers, statusText)
      return
    }
    this.startedAt = performance.now()
    this.#account.open(status, headers, this.startedAt)
    if (this.socket !== undefined)
      this.#isLast = this.origin.connections.noteKeepAlive(this.socket, headers['keep-alive'])
    this.state = 'flowing'
    try {
      this.handler.onResponseStart?.(this.reader, status, headers, statusText)
    } catch (error) {
      this.giveUp('reader', error as Error)
    }
    // Paused before there was anything to pause.
    if (this.reader.paused) this.onPause()
  }

  onResponseData(_: Controller, chunk: Buffer): void {
    const account = this.#account
    account.receive(chunk.length)
    if (this.state === 'draining') {
      account.dropped += chunk.length
      if (this.#draining?.takes(chunk.length, account.remaining === undefined) === false) this.#close('bytes')
    } else if (this.state === 'holding' || this.#isFlushing) {
      this.#hold(chunk)
    } else if (this.state === 'flowing') {
      this.#deliver(chunk)
    }
  }

  onResponseEnd(_: Controller, trailers: Headers): void {
    if (this.state === 'done') return
    if (!this.#wasStopped) this.origin.speed.noteBody(this.#account.received, this.startedAt)
    this.#noteLeft()
    this.leavePool()
    if (this.state === 'draining') {
      this.#settle('drained', 'ended')
      this.forgetWire()
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
    // From now on, only its reader may keep whatever the trace refers to.
    if (this.state !== 'done') this.handler.trace?.settle()
    if (this.state !== 'holding') return
    if (this.#end === undefined) {
      if (this.#isTouched || this.waitingSince !== 0) return
      this.waitingSince = performance.now()
      this.origin.untouched.add(this)
    } else if (this.#ahead !== undefined && this.#ahead.length > 0) {
      // From here on, only its reader keeps this body alive.
      const { method, path, read, head, since } = this.#account
      const request = { method, path, status: head?.status ?? 0 }
      const site = this.handler.trace?.site
      this.#ahead.bequeath(this, { request, read, since, site, isLeak: !this.#isForgottenHop })
    }
  }

  onResponseError(controller: Controller | null, error: Error): void {
    const state = this.state
    if (state === 'done') {
      this.origin.vacate(this)
      return
    }
    // HTTP/2: undici takes the end of the connection for a failure of streams whose end has come, too, but is not told yet.
    if (controller !== null && state !== 'waiting' && this.#account.remaining === 0) {
      this.onResponseEnd(controller, {})
      return
    }
    if (this.mayBeResent(error)) {
      this.resend(error)
      return
    }
    this.#code ??= codeOf(error)
    this.#noteLeft()
    this.leavePool()
    if (state === 'waiting') {
      if (this.wire === null) this.origin.noteUnconnected(this)
      this.state = 'done'
      this.opts = undefined
    } else {
      if (state !== 'draining') this.#account.endedBy = 'wire'
      this.#settle('closed', 'failed')
    }
    if (state !== 'draining') this.handler.onResponseError?.(this.reader, error)
    this.forgetWire()
  }

  // ---- from the reader

  onPause(): void {
    if (this.state !== 'flowing') return
    this.state = 'holding'
    if (!this.#isTouched) {
      this.#atTurnEnd()
    }
    this.#regulate()
  }

  onResume(): void {
    if (this.state !== 'holding') return
    this.#isTouched = true
    if (this.waitingSince !== 0) this.origin.untouched.remove(this)
    this.state = 'flowing'
    this.#flush()
  }

  /** The reader is told at once; the wire is settled behind it. */
  giveUp(by: EndedBy, reason: Error): void {
    if (this.state === 'done' || this.state === 'draining') return
    if (this.state === 'waiting') {
      // There is nothing to drain: the request is over, and with it its connection.
      if (this.wire === null) {
        this.#code = codeOf(reason)
        this.#noteLeft()
        this.abandon(reason)
      } else if (!this.isStarting) this.abortWire(reason)
      return
    }
    this.#account.endedBy = by
    if (by !== 'reader') this.#noteLeak(by)
    this.#code = codeOf(reason)
    this.state = 'draining'
    this.#dropAhead()
    const hasArrived = this.#end !== undefined
    if (!hasArrived) this.origin.counts.draining++
    try {
      this.handler.onResponseError?.(this.reader, reason)
    } finally {
      if (hasArrived) {
        this.#settle('drained', 'received')
        this.forgetWire()
      } else {
        this.#endWire(reason)
      }
    }
  }

  // ---- from the origin

  reclaim(age: number): void {
    const { name, scope, waiting } = this.origin
    const facts = { origin: name, age, received: this.#account.received }
    const site = this.handler.trace?.site
    const callSite = site && textOf(site)
    publish('drained:reclaim', () => ({
      ...facts,
      ...this.#account.request,
      client: scope.client,
      waiting,
      callSite,
    }))
    this.giveUp('reclaim', new BodyReclaimedError(callSite === undefined ? facts : { ...facts, callSite }))
  }

  /** The client closes, so nobody wants the connection. */
  stopDraining(): void {
    if (this.state === 'draining') this.#close('closing')
  }

  /** The budget has room again. */
  onRoom(): void {
    this.#regulate()
  }

  get holding(): Holding {
    const { method, received } = this.#account
    return { state: this.#holderState, method, received, site: this.handler.trace?.site }
  }

  // ---- between them

  get #holderState(): HolderState {
    if (this.state === 'waiting') return 'unanswered'
    if (this.state === 'draining') return 'draining'
    return this.state === 'holding' && !this.#isTouched ? 'untouched' : 'reading'
  }

  /** The client ends whatever is under way; only what nobody came for was forgotten. */
  #noteLeak(by: Exclude<EndedBy, 'reader'>): void {
    const isForgotten =
      !this.#isTouched && this.waitingSince !== 0 && performance.now() - this.startedAt >= grace
    if (by === 'wire' || (by === 'client' && !isForgotten) || this.#isForgottenHop) return
    const foundBy = by === 'reclaim' && this.origin.scope.closing ? 'client' : by
    this.#account.find(foundBy, this.#end === undefined, this.handler.trace?.site)
  }

  /** Our own fetch gives up what it is redirected by; another one (Node's, on this dispatcher) leaves that to the collector. */
  get #isForgottenHop(): boolean {
    const { head } = this.#account
    return !('trace' in this.handler) && head !== undefined && isRedirect(head)
  }

  #atTurnEnd(): void {
    if (this.#isTurnDue) return
    this.#isTurnDue = true
    atTurnEnd(this)
  }

  #deliver(chunk: Buffer): void {
    this.#account.deliver(chunk.length)
    try {
      this.handler.onResponseData?.(this.reader, chunk)
    } catch (error) {
      this.giveUp('reader', error as Error)
    }
  }

  #hold(chunk: Buffer): void {
    this.#ahead ??= new Ahead(this.origin, this.#limits)
    this.#ahead.push(chunk)
    this.#regulate()
  }

  /** Lets the wire run while what it will bring may be held; stops it otherwise. */
  #regulate(): void {
    if (this.state !== 'holding' || this.#end !== undefined) return
    this.#ahead ??= new Ahead(this.origin, this.#limits)
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
      while (this.state === 'flowing') {
        const chunk = ahead.shift()
        if (chunk === undefined) break
        this.#deliver(chunk)
      }
      this.#isFlushing = false
      if (this.state === 'flowing' || this.#end !== undefined) ahead.expectNoMore()
    }
    // Not if the reader paused or gave up meanwhile.
    if (this.state !== 'flowing') return
    if (this.#end === undefined) this.wire?.resume()
    else this.#finish(this.#end)
  }

  #dropAhead(): void {
    this.#account.dropped += this.#ahead?.drop(this) ?? 0
  }

  #finish(trailers: Headers): void {
    this.#settle('read', 'complete')
    try {
      this.handler.onResponseEnd?.(this.reader, trailers)
    } catch (error) {
      // A handler may refuse the whole response at its end (undici's retry does), and wants to hear of it.
      this.handler.onResponseError?.(this.reader, error as Error)
    }
    this.forgetWire()
  }

  /** Drains or closes, whichever is cheaper. */
  #endWire(reason: Error): void {
    // Telling the reader may have ended everything already, by way of the client.
    if (this.state !== 'draining') return
    const decision = howToEnd(
      this.#account,
      this.origin,
      this.#limits,
      this.socket,
      this.requestSent && !this.#isLast,
    )
    this.origin.untouched.remove(this)
    if (decision.action === 'close') {
      if (decision.reason === 'cost' || decision.reason === 'time') this.origin.speed.noteForgone()
      this.#close(decision.reason)
      return
    }
    // It has just been found that nothing comes.
    if (reason instanceof TimeoutError && reason.phase === 'body') return this.#close('time')
    this.#draining = new Draining(decision, () => this.#close('time'))
    // Not now: undici's parser must not be entered twice, and whoever gives up may be called by it.
    queueMicrotask(() => {
      if (this.state === 'draining') this.wire?.resume()
    })
  }

  #noteLeft(): void {
    this.#account.leave(this.since, this.waited, this.socket, this.#code)
  }

  #close(reason: Reason): void {
    this.#noteLeft()
    this.#settle('closed', reason)
    this.abortWire(
      new BodyGivenUpError(`The response body was given up and its connection closed (${reason})`),
    )
  }

  protected override leaveWire(): void {
    this.#draining?.end()
    super.leaveWire()
  }

  #settle(outcome: Outcome, reason: Reason): void {
    if (this.state === 'draining' && this.#end === undefined) this.origin.counts.draining--
    this.state = 'done'
    this.#dropAhead()
    this.#account.close(outcome, reason)
  }
}
