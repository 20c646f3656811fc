/**
 * A response body as Node's Readable, and its end on the wire. Destroy it, abort it, leave it unread or forget it: the wire settles
 * the rest. The end refers to the stream only while somebody waits for more, so that a forgotten one can be collected.
 */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { BodyGivenUpError } from '../../errors.ts'
// The one registry of readers that may be forgotten; it knows nothing else of fetch.
import { Watched } from '../../fetch/abandoned.ts'
import type { Sink } from './exchange.ts'

type Controller = Dispatcher.DispatchController

class BodyStream extends Readable {
  readonly #end: StreamEnd

  constructor(end: StreamEnd) {
    super()
    this.#end = end
  }

  override _read(): void {
    this.#end.onRead(this)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#end.onDestroy(error)
    // As Node's own responses do: an error nobody listens for would end the process.
    callback(this.listenerCount('error') === 0 ? null : error)
  }
}

export class StreamEnd extends Watched implements Sink {
  readonly stream: WeakRef<Readable>
  readonly #controller: Controller
  readonly #onDone: () => void
  /** Waits for more: whoever reads it may be referred to by nobody else. */
  #reader: Readable | undefined
  /** Bytes taken although nobody asked for them. */
  #early: number
  #isPaused = false
  /** Read beyond the early bytes. */
  #isTouched = false
  #hasEnded = false
  #isDone = false
  #failure: Error | undefined

  private constructor(controller: Controller, early: number, onDone: () => void) {
    super()
    this.#controller = controller
    this.#early = early
    this.#onDone = onDone
    this.stream = new WeakRef(new BodyStream(this))
  }

  /** @param early bytes taken before anybody reads; the wire counts the body as untouched until it is read on after them */
  static open(
    controller: Controller,
    early: number,
    onDone: () => void,
  ): { readonly end: StreamEnd; readonly stream: Readable } {
    const end = new StreamEnd(controller, early, onDone)
    const stream = end.stream.deref() as Readable
    end.watch(stream)
    if (early === 0) end.#pause()
    return { end, stream }
  }

  // ---- from the wire

  push(chunk: Buffer): void {
    this.#early -= chunk.length
    const stream = this.stream.deref()
    // Collected, and about to be given up.
    if (stream === undefined) return
    if (stream.push(chunk)) {
      if (this.#early <= 0 && !this.#isTouched) this.#touch()
      return
    }
    this.#reader = undefined
    if (this.#early <= 0) this.#pause()
  }

  end(): void {
    this.#hasEnded = true
    this.#reader = undefined
    this.stream.deref()?.push(null)
  }

  /** Whoever waits for more hears of it now, else whoever reads on: an error that nobody expects would end the process. */
  fail(error: Error): void {
    this.#hasEnded = true
    this.#failure = error
    const reader = this.#reader
    this.#reader = undefined
    reader?.destroy(error)
  }

  // ---- from the stream

  onRead(stream: Readable): void {
    if (this.#failure !== undefined) {
      stream.destroy(this.#failure)
      return
    }
    if (this.#hasEnded) return
    this.#reader = stream
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#isTouched = true
    this.#controller.resume()
  }

  onDestroy(error: Error | null): void {
    this.giveUp(error)
  }

  // ---- from whoever ends it

  /** By its signal: unlike a failure, it is heard of at once. */
  abort(error: Error): void {
    const stream = this.stream.deref()
    if (stream === undefined) this.giveUp(error)
    else stream.destroy(error)
  }

  giveUp(reason: Error | null): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#reader = undefined
    this.unwatch()
    this.#onDone()
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#controller.abort(reason ?? new BodyGivenUpError())
  }

  /** Somebody has kept up from the start, and the wire, which never stopped, has to know. */
  #touch(): void {
    this.#isTouched = true
    // Not now: undici's parser must not be entered twice.
    queueMicrotask(() => {
      if (this.#isPaused || this.#hasEnded) return
      this.#controller.pause()
      this.#controller.resume()
    })
  }

  #pause(): void {
    this.#isPaused = true
    this.#controller.pause()
  }
}
