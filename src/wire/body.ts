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
import { BodyReclaimedError } from '../errors.ts'
import { textOf } from '../call-site.ts'
import { type HolderState, publish } from '../events.ts'
import { atTurnEnd, type TurnTask } from '../turn.ts'
import { codeOf } from './account.ts'
import { Ahead } from './ahead.ts'
import { Ending } from './ending.ts'
import type { ResponseHead } from './framing.ts'
import type { Holding } from './origin.ts'

type Controller = Dispatcher.DispatchController
type Handler = Dispatcher.DispatchHandler
type Headers = ResponseHead['headers']

export class Body extends Ending implements Handler, TurnTask {
  #isFlushing = false
  #isTurnDue = false
  /** The wire was stopped, so the time it took says nothing of its speed. */
  #wasStopped = false

  // ---- from the wire

  onRequestUpgrade(
    ...[, status, headers, socket]: Parameters<NonNullable<Handler['onRequestUpgrade']>>
  ): void {
    this.forgetRequest()
    this.account.upgrade(status)
    // The socket now belongs to whoever asked for the upgrade.
    this.leavePool()
    if (this.socket !== undefined) this.origin.connections.forget(this.socket)
    // Who throws or aborts has refused it, and hears of the end like any other.
    this.handler.onRequestUpgrade?.(this.reader, status, headers, socket)
    if (this.state !== 'waiting') return
    this.state = 'done'
    this.noteLeft()
  }

  onResponseStart(_: Controller, status: number, headers: Headers, statusText?: string): void {
    this.forgetRequest()
    if (status < 200) {
      this.handler.onResponseStart?.(this.reader, status, headers, statusText)
      return
    }
    this.startedAt = performance.now()
    this.account.open(status, headers, this.startedAt)
    if (this.socket !== undefined)
      this.isLast = this.origin.connections.noteKeepAlive(this.socket, headers['keep-alive'])
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
    const account = this.account
    account.receive(chunk.length)
    if (this.state === 'draining') {
      account.dropped += chunk.length
      this.onDrained(chunk.length)
    } else if (this.state === 'holding' || this.#isFlushing) {
      this.#hold(chunk)
    } else if (this.state === 'flowing') {
      this.#deliver(chunk)
    }
  }

  onResponseEnd(_: Controller, trailers: Headers): void {
    if (this.state === 'done') return
    if (!this.#wasStopped) this.origin.speed.noteBody(this.account.received, this.startedAt)
    this.noteLeft()
    this.leavePool()
    if (this.state === 'draining') {
      this.settle('drained', 'ended')
      this.forgetWire()
    } else if (this.ahead !== undefined && this.ahead.length > 0) {
      this.trailers = trailers
      this.ahead.expectNoMore()
      this.handler.onResponseArrived?.()
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
    if (this.trailers === undefined) {
      if (this.isTouched || this.waitingSince !== 0) return
      this.waitingSince = performance.now()
      this.origin.untouched.add(this)
    } else if (this.ahead !== undefined && this.ahead.length > 0) {
      // From here on, only its reader keeps this body alive.
      const { method, path, read, head, since } = this.account
      const request = { method, path, status: head?.status ?? 0 }
      const site = this.handler.trace?.site
      this.ahead.bequeath(this, { request, read, since, site, isLeak: !this.isForgottenHop })
    }
  }

  onResponseError(controller: Controller | null, error: Error): void {
    const state = this.state
    if (state === 'done') {
      this.origin.vacate(this)
      return
    }
    // HTTP/2: undici takes the end of the connection for a failure of streams whose end has come, too, but is not told yet.
    if (controller !== null && state !== 'waiting' && this.account.remaining === 0) {
      this.onResponseEnd(controller, {})
      return
    }
    if (this.mayBeResent(error)) {
      this.resend(error)
      return
    }
    this.code ??= codeOf(error)
    this.noteLeft()
    this.leavePool()
    if (state === 'waiting') {
      if (this.wire === null) this.origin.noteWait(this, 'none')
      this.state = 'done'
      this.forgetRequest()
    } else {
      if (state !== 'draining') this.account.endedBy = 'wire'
      this.settle('closed', 'failed')
    }
    if (state !== 'draining') this.handler.onResponseError?.(this.reader, error)
    this.forgetWire()
  }

  // ---- from the reader

  onPause(): void {
    if (this.state !== 'flowing') return
    this.state = 'holding'
    if (!this.isTouched) {
      this.#atTurnEnd()
    }
    this.#regulate()
  }

  onResume(): void {
    if (this.state !== 'holding') return
    this.isTouched = true
    if (this.waitingSince !== 0) this.origin.untouched.remove(this)
    this.state = 'flowing'
    this.#flush()
  }

  // ---- from the origin

  reclaim(age: number): void {
    const { name, scope, waiting } = this.origin
    const facts = { origin: name, age, received: this.account.received }
    const site = this.handler.trace?.site
    const callSite = site && textOf(site)
    publish('drained:reclaim', () => ({
      ...facts,
      ...this.account.request,
      client: scope.client,
      waiting,
      callSite,
    }))
    this.giveUp('reclaim', new BodyReclaimedError(callSite === undefined ? facts : { ...facts, callSite }))
  }

  /** The budget has room again. */
  onRoom(): void {
    this.#regulate()
  }

  get holding(): Holding {
    const { method, received } = this.account
    return { state: this.#holderState, method, received, site: this.handler.trace?.site }
  }

  // ---- between them

  get #holderState(): HolderState {
    if (this.state === 'waiting') return 'unanswered'
    if (this.state === 'draining') return 'draining'
    return this.state === 'holding' && !this.isTouched ? 'untouched' : 'reading'
  }

  #atTurnEnd(): void {
    if (this.#isTurnDue) return
    this.#isTurnDue = true
    atTurnEnd(this)
  }

  #deliver(chunk: Buffer): void {
    this.account.deliver(chunk.length)
    try {
      this.handler.onResponseData?.(this.reader, chunk)
    } catch (error) {
      this.giveUp('reader', error as Error)
    }
  }

  #hold(chunk: Buffer): void {
    this.ahead ??= new Ahead(this.origin, this.limits)
    this.ahead.push(chunk)
    this.#regulate()
  }

  /** Lets the wire run while what it will bring may be held; stops it otherwise. */
  #regulate(): void {
    if (this.state !== 'holding' || this.trailers !== undefined) return
    this.ahead ??= new Ahead(this.origin, this.limits)
    if (this.ahead.mayGrow(this.account.remaining, this)) {
      this.wire?.resume()
    } else {
      this.#wasStopped = true
      this.wire?.pause()
    }
  }

  #flush(): void {
    if (this.#isFlushing) return
    const ahead = this.ahead
    if (ahead !== undefined) {
      this.#isFlushing = true
      while (this.state === 'flowing') {
        const chunk = ahead.shift()
        if (chunk === undefined) break
        this.#deliver(chunk)
      }
      this.#isFlushing = false
      if (this.state === 'flowing' || this.trailers !== undefined) ahead.expectNoMore()
    }
    // Not if the reader paused or gave up meanwhile.
    if (this.state !== 'flowing') return
    if (this.trailers === undefined) this.wire?.resume()
    else this.#finish(this.trailers)
  }

  #finish(trailers: Headers): void {
    this.settle('read', 'complete')
    try {
      this.handler.onResponseEnd?.(this.reader, trailers)
    } catch (error) {
      // A handler may refuse the whole response at its end (undici's retry does), and wants to hear of it.
      this.handler.onResponseError?.(this.reader, error as Error)
    }
    this.forgetWire()
  }
}
