/**
 * One request on the wire and what ends it: its signal, its time limit, its response, its failure. What comes after the headers goes
 * to one sink. The signal stays wired until the body is done with.
 */
import type { Dispatcher } from 'undici'
import { BodyGivenUpError } from '../../errors.ts'
import { cancel } from '../../fetch/request.ts'
import type { QueueAware } from '../../queued.ts'
import { AbortError, aborted, bodyError } from './errors.ts'
import type { WireHeaders } from './headers.ts'

type Controller = Dispatcher.DispatchController

/** Where a body goes. */
export interface Sink {
  push(chunk: Buffer): void
  end(): void
  /** The wire failed. */
  fail(error: Error): void
  /** The caller's signal was aborted. */
  abort(error: Error): void
}

/** Any `AbortSignal`, Azure's own among them. */
export interface SignalLike {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** What an exchange needs to know of its call. */
export interface Call {
  readonly signal: SignalLike | undefined
  /** Milliseconds until the headers; 0 for no limit. */
  readonly timeout: number
  readonly onProgress: ((progress: { loadedBytes: number }) => void) | undefined
  /** The headers are here; returns where the body goes, or undefined if it is not wanted. */
  answer(status: number, headers: WireHeaders): Sink | undefined
  /** It failed before its headers. */
  fail(error: Error): unknown
}

export class Exchange implements Dispatcher.DispatchHandler, QueueAware {
  readonly #signal: SignalLike | undefined
  readonly #onProgress: Call['onProgress']
  /** Let go with the headers: it leads to the response, and that to a stream which must be collectable. */
  #call: Call | undefined
  #controller: Controller | undefined
  #sink: Sink | undefined
  #timer: NodeJS.Timeout | undefined
  /** What is to be sent, until that begins. */
  #unsent: unknown
  /** Aborted before it had a connection. */
  #reason: Error | undefined
  #sent = 0
  #isDone = false

  constructor(call: Call) {
    this.#call = call
    this.#signal = call.signal
    this.#onProgress = call.onProgress
  }

  get controller(): Controller {
    return this.#controller as Controller
  }

  send(dispatch: Dispatcher['dispatch'], options: Dispatcher.DispatchOptions): void {
    this.#unsent = options.body
    const timeout = this.#call?.timeout ?? 0
    const signal = this.#signal
    // By whoever made the body, too.
    if (signal?.aborted === true) {
      this.#fail(new AbortError(aborted.before))
      return
    }
    signal?.addEventListener('abort', this.#onAbort)
    if (timeout > 0) this.#timer = setTimeout(this.#onAbort, timeout)
    try {
      dispatch(options, this)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  /** Nobody wants anything more of it. */
  readonly done = (): void => {
    if (this.#isDone) return
    this.#isDone = true
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  // ---- from the wire

  onRequestQueued(controller: Controller): void {
    this.#controller = controller
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    this.#unsent = undefined
    if (this.#reason !== undefined) controller.abort(this.#reason)
  }

  onBodySent(chunk: Uint8Array | string): void {
    if (this.#onProgress === undefined || this.#isDone) return
    this.#sent += Buffer.byteLength(chunk)
    this.#onProgress({ loadedBytes: this.#sent })
  }

  onResponseStart(controller: Controller, status: number, headers: WireHeaders): void {
    const call = this.#call
    if (status < 200 || call === undefined) return
    this.#controller = controller
    this.#call = undefined
    clearTimeout(this.#timer)
    try {
      this.#sink = call.answer(status, headers)
    } catch (error) {
      // A request that is not what it says; the wire gives the body up.
      void call.fail(error as Error)
      throw error
    } finally {
      if (this.#sink === undefined) this.done()
    }
  }

  onResponseData(_: Controller, chunk: Buffer): void {
    this.#sink?.push(chunk)
  }

  onResponseEnd(): void {
    this.#sink?.end()
  }

  onResponseError(_: Controller | null, error: Error): void {
    if (this.#isDone) return
    if (this.#call === undefined) this.#sink?.fail(bodyError(error))
    else this.#fail(error)
  }

  // ---- from the caller

  readonly #onAbort = (): void => {
    if (this.#isDone) return
    if (this.#call === undefined) {
      this.#sink?.abort(new AbortError(aborted.after))
      return
    }
    const error = new AbortError(aborted.during)
    this.#reason = new BodyGivenUpError('The request was aborted')
    this.#fail(error)
    this.#controller?.abort(this.#reason)
  }

  #fail(error: Error): void {
    this.done()
    cancel(this.#unsent, error)
    this.#unsent = undefined
    const call = this.#call
    this.#call = undefined
    void call?.fail(error)
  }
}
