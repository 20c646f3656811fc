/**
 * Keeps a body paused until its Response is touched, so that the wire knows whether anybody wants it. It only pauses, resumes
 * and aborts; without it a decoder or a stream's buffer would pull at the body before anybody asked.
 */
import type { Dispatcher } from 'undici'
import type { Trace, Traced } from '../call-site.ts'
import type { Timeouts } from '../options.ts'
import type { ArrivalAware, QueueAware } from '../queued.ts'
import { type Deadline, liftLimits } from './deadline.ts'

type Controller = Dispatcher.DispatchController
type Handler = Dispatcher.DispatchHandler
type Headers = Record<string, string | string[] | undefined>
type RawHeaders = NonNullable<Controller['rawHeaders']>

/** One per call; its first touch opens it for good. */
export class Gate {
  isOpen = false
  /** Otherwise undici's fetch is not told of content codings, since it undoes all it knows. */
  readonly #decompress: boolean
  readonly trace: Trace | undefined
  /** What can end the call, for as long as it can. */
  signal: unknown
  /** Time limits of the call. */
  deadline: Deadline | undefined
  /** Headers of the newest response, as they came. */
  headers: Headers | undefined
  /** The end of the newest response has been handed on. */
  hasEnded = false
  /** Of the newest request. */
  origin = ''
  /** Of a request that waits for a connection. */
  queued: Controller | undefined
  /** Of the newest response: earlier ones were hops of a redirect, which nobody can touch. */
  #newest: GuardedController | undefined
  /** Nothing of the newest response is waited for any more. */
  #isOver = false
  /** The newest response is the last. */
  #isAnswered = false

  constructor(decompress: boolean, trace: Trace | undefined) {
    this.#decompress = decompress
    this.trace = trace
  }

  open(): void {
    if (this.isOpen) return
    this.isOpen = true
    this.#newest?.onOpen()
  }

  abort(reason: Error): void {
    this.#newest?.abort(reason)
  }

  /** The call is over: a request that still waits for a connection is never sent. */
  leaveQueue(reason: Error): void {
    this.queued?.abort(reason)
    this.queued = undefined
  }

  /** The headers of a response that undici's fetch is told of. */
  told<T extends Headers | RawHeaders | null>(headers: T): T {
    if (this.#decompress || headers === null) return headers
    if (!Array.isArray(headers)) {
      const { 'content-encoding': _, ...rest } = headers
      return rest as T
    }
    const isKept = (at: number): boolean =>
      String(headers[at - (at % 2)]).toLowerCase() !== 'content-encoding'
    return headers.filter((_: unknown, at: number) => isKept(at)) as T
  }

  guard(controller: GuardedController): void {
    this.#newest = controller
    this.hasEnded = this.#isOver = false
  }

  answered(): void {
    this.#isAnswered = true
    this.deadline?.answered()
    if (this.#isOver) this.deadline?.end()
  }

  /** The response has arrived or failed. If it is a redirect the call goes on, and so do its limits. */
  over(controller: GuardedController | undefined): void {
    if (controller !== this.#newest) return
    this.#isOver = true
    if (this.#isAnswered) this.deadline?.end()
    else this.deadline?.arrived()
  }
}

/** Passes everything on but `resume()`, which waits for the gate. */
class GuardedController implements Controller {
  readonly #gate: Gate
  readonly #inner: Controller
  #wantsMore = false

  constructor(gate: Gate, inner: Controller) {
    this.#gate = gate
    this.#inner = inner
  }

  get aborted(): boolean {
    return this.#inner.aborted
  }
  get reason(): Error | null {
    return this.#inner.reason
  }
  get paused(): boolean {
    return this.#inner.paused
  }
  get rawHeaders(): RawHeaders | null {
    return this.#gate.told(this.#inner.rawHeaders ?? null)
  }
  get rawTrailers(): NonNullable<Controller['rawTrailers']> | null {
    return this.#inner.rawTrailers ?? null
  }
  pause(): void {
    this.#wantsMore = false
    this.#inner.pause()
  }
  resume(): void {
    if (!this.#gate.isOpen) {
      this.#wantsMore = true
      return
    }
    this.#inner.resume()
  }
  abort(reason: Error): void {
    this.#inner.abort(reason)
  }
  onOpen(): void {
    if (this.#wantsMore) this.resume()
  }
}

class GuardedHandler implements Handler, QueueAware, ArrivalAware, Traced {
  readonly #gate: Gate
  readonly #inner: Handler
  #controller: GuardedController | undefined

  constructor(gate: Gate, inner: Handler) {
    this.#gate = gate
    this.#inner = inner
    gate.deadline?.enter('queue')
  }

  get trace(): Trace | undefined {
    return this.#gate.trace
  }
  onRequestQueued(controller: Controller): void {
    this.#gate.queued = controller
  }
  onRequestStart(controller: Controller, context: unknown): void {
    this.#gate.queued = undefined
    this.#controller = new GuardedController(this.#gate, controller)
    this.#gate.deadline?.enter(undefined)
    this.#inner.onRequestStart?.(this.#controller, context)
  }
  onResponseStarted(): void {
    this.#inner.onResponseStarted?.()
  }
  onBodySent(chunk: Buffer): void {
    this.#inner.onBodySent?.(chunk)
  }
  onRequestSent(): void {
    this.#gate.deadline?.enter('headers')
    this.#inner.onRequestSent?.()
  }
  onRequestUpgrade(
    ...[controller, status, headers, socket]: Parameters<NonNullable<Handler['onRequestUpgrade']>>
  ): void {
    this.#inner.onRequestUpgrade?.(this.#controller ?? controller, status, headers, socket)
  }
  onResponseStart(
    ...[controller, status, headers, statusText]: Parameters<NonNullable<Handler['onResponseStart']>>
  ): void {
    const guarded = (this.#controller ??= new GuardedController(this.#gate, controller))
    if (status >= 200) {
      this.#gate.guard(guarded)
      this.#gate.headers = headers
      // Open already: undici reads it all before it answers.
      this.#gate.deadline?.enter(this.#gate.isOpen ? 'body' : undefined)
      if (!this.#gate.isOpen) controller.pause()
    }
    this.#inner.onResponseStart?.(guarded, status, this.#gate.told(headers), statusText)
  }
  onResponseData(controller: Controller, chunk: Buffer): void {
    this.#gate.deadline?.progress()
    this.#inner.onResponseData?.(this.#controller ?? controller, chunk)
  }
  onResponseArrived(): void {
    this.#gate.over(this.#controller)
  }
  onResponseEnd(...[controller, trailers]: Parameters<NonNullable<Handler['onResponseEnd']>>): void {
    this.#gate.hasEnded = true
    this.#gate.over(this.#controller)
    this.#inner.onResponseEnd?.(this.#controller ?? controller, trailers)
  }
  onResponseError(controller: Controller, error: Error): void {
    this.#gate.over(this.#controller)
    this.#inner.onResponseError?.(this.#controller ?? controller, error)
  }
}

/** `dispatcher` with the bodies of one call behind `gate`, and with our time limits instead of undici's own. */
export function behind(gate: Gate, dispatcher: Dispatcher, timeouts: Timeouts | undefined): Dispatcher {
  return Object.create(dispatcher, {
    dispatch: {
      value: (opts: Dispatcher.DispatchOptions, handler: Handler) => {
        gate.origin = String(opts.origin)
        const limited = timeouts === undefined ? opts : liftLimits({ ...opts }, timeouts)
        return dispatcher.dispatch(limited, new GuardedHandler(gate, handler))
      },
    },
  }) as Dispatcher
}
