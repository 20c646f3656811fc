/**
 * Somebody else's fetch as a `dispatch`: what it answers flows, pauses and is aborted as if it came from a connection of ours, so that a
 * {@link Body} can stand between. It reads no byte that nobody asked for.
 */
import { Dispatcher, errors } from 'undici'
import { type ForeignBody, readerOf } from './foreign-body.ts'

type Controller = Dispatcher.DispatchController
type Handler = Dispatcher.DispatchHandler
type Headers = Parameters<NonNullable<Handler['onResponseEnd']>>[1]

/** What the call came to, as far as the wire needs to know. */
export interface ForeignAnswer {
  readonly status: number
  readonly statusText: string
  readonly headers: Headers
  /** Null where there is none. */
  readonly body: object | null
  /** Kept while its body is read: undici cancels the stream of a Response that is collected. */
  readonly owner: object
}

/** Options of a dispatch that makes a call of somebody else's. */
export interface ForeignOptions extends Dispatcher.DispatchOptions {
  /** Makes the call; undefined if its answer has nothing to read. */
  readonly respond: () => Promise<ForeignAnswer | undefined>
  /** Ends the wait for the answer. */
  readonly until?: AbortSignal | undefined
}

/** All calls of one client through a fetch of somebody else's. */
export interface Foreign {
  readonly dispatch: Dispatcher['dispatch']
  /** Stands where a client has its dispatcher, and says why there is none. */
  readonly dispatcher: Dispatcher
  /** Waits for the calls under way. */
  close(): Promise<void>
  /** Fails the calls that have no answer; the bodies are ended by whoever has them. */
  destroy(error?: Error): void
}

export function createForeign(): Foreign {
  const calls = new Set<ForeignCall>()
  const closed: (() => void)[] = []
  return {
    dispatcher: new NoDispatcher(),
    dispatch(opts, handler) {
      const call = new ForeignCall(handler, () => {
        if (calls.delete(call) && calls.size === 0) for (const done of closed.splice(0)) done()
      })
      calls.add(call)
      void call.start(opts as ForeignOptions)
      return true
    },
    close: () => new Promise((resolve) => (calls.size === 0 ? resolve() : void closed.push(resolve))),
    destroy(error = new errors.ClientDestroyedError()) {
      for (const call of Array.from(calls)) call.destroy(error)
    },
  }
}

class NoDispatcher extends Dispatcher {
  override dispatch(): never {
    throw new errors.NotSupportedError('A client with a fetch of somebody else has no dispatcher')
  }
}

/** One call, then its body on its way. */
class ForeignCall implements Controller {
  readonly rawHeaders = null
  readonly rawTrailers = null
  paused = false
  aborted = false
  reason: Error | null = null
  readonly #handler: Handler
  readonly #onEnd: () => void
  #body: ForeignBody | undefined
  #isAnswered = false
  #isOver = false
  #isReading = false

  constructor(handler: Handler, onEnd: () => void) {
    this.#handler = handler
    this.#onEnd = onEnd
  }

  async start({ respond, until }: ForeignOptions): Promise<void> {
    let answer
    until?.addEventListener('abort', () => this.destroy(until.reason as Error), { once: true })
    try {
      answer = await respond()
    } catch (error) {
      this.#fail(error as Error)
      return
    }
    if (answer === undefined) this.#fail(new errors.NotSupportedError('Not a Response'))
    else this.#answer(answer)
  }

  #answer({ status, statusText, headers, body, owner }: ForeignAnswer): void {
    try {
      if (body !== null) this.#body = readerOf(body, owner)
    } catch (error) {
      return this.#fail(error as Error)
    }
    // Nobody waits for it any more.
    if (this.#isOver) return this.#body?.cancel(this.reason)
    this.#isAnswered = true
    this.#handler.onRequestStart?.(this, {})
    if (this.#isOver) return
    // A status below 200 would be taken for one that comes before the answer (an opaque or failed response has 0).
    this.#handler.onResponseStart?.(this, Math.max(status, 200), headers, statusText)
    if (this.#body === undefined) return this.#end()
    this.#body.onFailure((error) => this.#fail(error))
    void this.#read()
  }

  // ---- from whoever reads

  pause(): void {
    this.paused = true
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    void this.#read()
  }

  abort(reason: Error): void {
    if (this.#isOver) return
    this.aborted = true
    this.reason = reason
    this.#leave()
    this.#body?.cancel(reason)
  }

  destroy(error: Error): void {
    if (!this.#isAnswered) this.#fail(error)
  }

  // ----

  async #read(): Promise<void> {
    if (this.#isReading || this.#body === undefined) return
    this.#isReading = true
    try {
      while (!this.paused && !this.#isOver) {
        const chunk = await this.#body.read()
        if (this.#isOver) return
        if (chunk === undefined) return this.#end()
        if (chunk.length > 0) this.#handler.onResponseData?.(this, chunk)
      }
    } catch (error) {
      this.#body.cancel(error)
      this.#fail(error as Error)
    } finally {
      this.#isReading = false
    }
  }

  #end(): void {
    if (this.#isOver) return
    this.#leave()
    this.#handler.onResponseEnd?.(this, {})
  }

  #fail(error: Error): void {
    if (this.#isOver) return
    this.reason ??= error
    this.#leave()
    this.#handler.onResponseError?.(this, error)
  }

  #leave(): void {
    this.#isOver = true
    this.#onEnd()
  }
}
