/**
 * The body of a response as a Readable of Node's, for SDKs that take nothing else. Nothing flows before somebody reads; a failure
 * waits for its reader; and the wire refers to the stream only while its reader waits, so that a forgotten one can be collected.
 */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { BodyGivenUpError } from '../errors.ts'
import { Watched } from '../fetch/abandoned.ts'

/** Bytes kept between the wire and a reader that is slower: four reads of a socket, so that it need not be stopped after each. */
const mostBuffered = 256 * 1024

/** The wire's end of the body. */
export class NodeBody extends Watched {
  readonly #controller: Dispatcher.DispatchController
  readonly #onSettled: () => void
  #stream: WeakRef<BodyStream> | undefined
  /** The stream whose reader waits: it may be referred to by nobody else, and has to stay. */
  #waiting: BodyStream | undefined
  #isTouched = false
  #isSettled = false
  /** Why it failed before anybody read it. */
  #failure: Error | undefined

  /** @param onSettled called once: its reader has it all, or it failed, or nobody wants it any more */
  constructor(controller: Dispatcher.DispatchController, onSettled: () => void) {
    super()
    this.#controller = controller
    this.#onSettled = onSettled
    controller.pause()
  }

  /** Its stream, to be handed on at once: it is referred to only weakly. */
  open(): Readable {
    const stream = new BodyStream(this)
    this.#stream = new WeakRef(stream)
    this.watch(stream)
    return stream
  }

  // ---- from the wire

  onData(chunk: Buffer): void {
    const stream = this.#reader
    // It asks again when it has handed this on.
    this.#waiting = undefined
    if (stream === undefined) return
    stream.push(chunk)
    if (stream.readableLength >= mostBuffered) this.#controller.pause()
  }

  onEnd(): void {
    this.#reader?.push(null)
    this.#settle()
  }

  /** Its reader hears of it now, or when there is one: a body nobody looks at must not end the process. */
  fail(error: Error): void {
    if (this.#isSettled) return
    const stream = this.#isTouched ? this.#reader : undefined
    this.#failure = error
    this.#settle()
    stream?.destroy(error)
  }

  // ---- from the reader

  /** The reader wants more; it may arrive, even end, before this returns. */
  demand(stream: BodyStream): void {
    if (this.#failure !== undefined) return void stream.destroy(this.#failure)
    if (this.#isSettled) return
    this.#isTouched = true
    this.#waiting = stream
    this.#controller.resume()
  }

  /** Nobody wants the rest: the wire settles it. */
  giveUp(reason: Error): void {
    if (this.#isSettled) return
    this.#failure = reason
    this.#settle()
    this.#controller.abort(reason)
  }

  get #reader(): BodyStream | undefined {
    return this.#waiting ?? this.#stream?.deref()
  }

  #settle(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#waiting = undefined
    this.unwatch()
    this.#onSettled()
  }
}

class BodyStream extends Readable {
  readonly #body: NodeBody
  #isAsked = false

  constructor(body: NodeBody) {
    // Its own read-ahead would make every stream a reader that waits; what is ahead is held, and counted, by the wire.
    super({ highWaterMark: 0 })
    this.#body = body
  }

  override read(size?: number): unknown {
    if (size !== 0) this.#isAsked = true
    return super.read(size)
  }

  override _read(): void {
    // Node looks once at a stream that got a listener and was paused at once, as the SDKs' checksums do: no reader, yet.
    const isPaused = this.readableFlowing === false && this.listenerCount('readable') === 0
    if (isPaused && !this.#isAsked) this.push('')
    else this.#body.demand(this)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#body.giveUp(error ?? new BodyGivenUpError())
    // As an IncomingMessage: an error that nobody listens for is no reason to end the process.
    callback(this.listenerCount('error') === 0 ? null : error)
  }
}
