/** How a body ends: given up by whoever, and then its wire drained or closed behind its reader's back; counted and reported once. */
import type { Dispatcher } from 'undici'
import { BodyGivenUpError, TimeoutError } from '../errors.ts'
import type { EndedBy, Outcome, Reason } from '../events.ts'
import type { ResolvedDrain } from '../options.ts'
import { Account, codeOf } from './account.ts'
import type { Ahead } from './ahead.ts'
import type { ResponseHead } from './framing.ts'
import type { Waiting } from './held.ts'
import type { Origin } from './origin.ts'
import { Sending } from './sending.ts'
import { Draining, howToEnd } from './settle.ts'

/** Milliseconds between headers and body that any program may need: whoever destroys its client then has forgotten nothing yet. */
const grace = 1_000

/** What most clients go on from, without a look at the body. */
function isRedirect({ status, headers }: ResponseHead): boolean {
  return [301, 302, 303, 307, 308].includes(status) && headers['location'] !== undefined
}

export abstract class Ending extends Sending implements Waiting {
  /** When it began to wait untouched, 0 before. */
  waitingSince = 0
  startedAt = 0
  protected readonly limits: ResolvedDrain
  protected readonly account: Account
  protected ahead: Ahead | undefined
  /** The server answers nothing more on this connection. */
  protected isLast = false
  /** The reader has asked for more after it had paused: somebody is there. */
  protected isTouched = false
  /** Once the end has arrived while bytes are still held. */
  protected trailers: ResponseHead['headers'] | undefined
  /** Of the error its reader has got. */
  protected code: string | undefined
  #draining: Draining | undefined

  constructor(
    dispatch: Dispatcher['dispatch'],
    opts: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
    origin: Origin,
    limits: ResolvedDrain,
    isPooled: boolean,
  ) {
    super(dispatch, opts, handler, origin, isPooled)
    this.account = new Account(origin, opts.method, opts.path)
    this.limits = limits
  }

  abstract onRoom(): void

  /** The reader is told at once; the wire is settled behind it. */
  giveUp(by: EndedBy, reason: Error): void {
    if (this.state === 'done' || this.state === 'draining') return
    if (this.state === 'waiting') {
      // There is nothing to drain: the request is over, and with it its connection.
      if (this.wire === null) {
        this.code = codeOf(reason)
        this.noteLeft()
        this.abandon(reason)
      } else if (!this.isStarting) this.abortWire(reason)
      return
    }
    this.account.endedBy = by
    if (by !== 'reader') this.#noteLeak(by)
    this.code = codeOf(reason)
    this.state = 'draining'
    this.#dropAhead()
    const hasArrived = this.trailers !== undefined
    if (!hasArrived) this.origin.counts.draining++
    try {
      this.handler.onResponseError?.(this.reader, reason)
    } finally {
      if (hasArrived) {
        this.settle('drained', 'received')
        this.forgetWire()
      } else {
        this.#endWire(reason)
      }
    }
  }

  /** The client closes, so nobody wants the connection. */
  stopDraining(): void {
    if (this.state === 'draining') this.#close('closing')
  }

  /** Bytes of the rest have been dropped. */
  protected onDrained(bytes: number): void {
    if (this.#draining?.takes(bytes, this.account.remaining === undefined) === false) this.#close('bytes')
  }

  /** The client ends whatever is under way; only what nobody came for was forgotten. */
  #noteLeak(by: Exclude<EndedBy, 'reader'>): void {
    const isForgotten =
      !this.isTouched && this.waitingSince !== 0 && performance.now() - this.startedAt >= grace
    if (by === 'wire' || (by === 'client' && !isForgotten) || this.isForgottenHop) return
    const foundBy = by === 'reclaim' && this.origin.scope.closing ? 'client' : by
    this.account.find(foundBy, this.trailers === undefined, this.handler.trace?.site)
  }

  /** Our own fetch gives up what it is redirected by; another one (Node's, on this dispatcher) leaves that to the collector. */
  protected get isForgottenHop(): boolean {
    const { head } = this.account
    return !this.#isOurs && head !== undefined && isRedirect(head)
  }

  /** It belongs to our own fetch, whose handlers alone have a trace to show, traced or not. */
  get #isOurs(): boolean {
    return 'trace' in this.handler
  }

  #dropAhead(): void {
    this.account.dropped += this.ahead?.drop(this) ?? 0
  }

  /** Drains or closes, whichever is cheaper. */
  #endWire(reason: Error): void {
    // Telling the reader may have ended everything already, by way of the client.
    if (this.state !== 'draining') return
    const decision = howToEnd(
      this.account,
      this.origin,
      this.limits,
      this.socket,
      this.requestSent && !this.isLast,
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

  protected noteLeft(): void {
    this.account.leave(this.since, this.waited, this.socket, this.code)
  }

  #close(reason: Reason): void {
    this.noteLeft()
    this.settle('closed', reason)
    this.abortWire(
      new BodyGivenUpError(`The response body was given up and its connection closed (${reason})`),
    )
  }

  protected override leaveWire(): void {
    this.#draining?.end()
    super.leaveWire()
  }

  protected settle(outcome: Outcome, reason: Reason): void {
    if (this.state === 'draining' && this.trailers === undefined) this.origin.counts.draining--
    this.state = 'done'
    this.#dropAhead()
    this.account.close(outcome, reason)
  }
}
