/**
 * The body of a response as a Readable of Node's, for SDKs that take nothing else. Nothing, or no more than asked for, flows before somebody
 * reads; a failure waits for its reader; and the wire refers to the stream only while its reader waits, so that a forgotten one can be collected.
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
  readonly #onDone: () => void
  #stream: WeakRef<BodyStream> | undefined
  /** The stream whose reader waits: it may be referred to by nobody else, and has to stay. */
  #waiting: BodyStream | undefined
  /** Bytes that may still come although nobody has asked for them. */
  #early: number
  #isPaused: boolean
  /** Read beyond the early bytes. */
  #isTouched = false
  /** The wire has no more to do with it. */
  #hasEnded = false
  #isDone = false
  /** Why it failed before anybody read it. */
  #failure: Error | undefined

  /**
   * @param onDone called once: its reader has it all, or it failed, or nobody wants it any more
   * @param early bytes taken before anybody reads; the wire counts the body as untouched until it is read on after them
   */
  constructor(controller: Dispatcher.DispatchController, onDone: () => void, early = 0) {
    super()
    this.#controller = controller
    this.#onDone = onDone
    this.#early = early
    this.#isPaused = early === 0
    if (this.#isPaused) controller.pause()
  }

  /** Its stream, to be handed on at once: it is referred to only weakly. */
  open(): Readable {
    const stream = new BodyStream(this)
    this.#stream = new WeakRef(stream)
    this.watch(stream)
    return stream
  }

  // ---- from the wire

  push(chunk: Buffer): void {
    this.#early -= chunk.length
    const stream = this.#reader
    // It asks again when it has handed this on.
    this.#waiting = undefined
    if (stream === undefined) return
    stream.push(chunk)
    if (this.#early > 0 || this.#hasEnded) return
    const most = this.#isTouched ? mostBuffered : 1
    if (stream.readableLength >= most) this.#pause()
    else if (!this.#isTouched) this.#touch()
  }

  end(): void {
    const stream = this.#reader
    this.#hasEnded = true
    this.#waiting = undefined
    stream?.push(null)
  }

  /**
   * Whoever waits hears of it now; who is behind, once what has arrived is read (an IncomingMessage drops it): an SDK that goes on asks for
   * the rest. So does whoever begins later: a body nobody looks at must not end the process.
   */
  fail(error: Error): void {
    if (this.#hasEnded) return
    const stream = this.#waiting
    this.#hasEnded = true
    this.#failure = error
    this.#done()
    stream?.destroy(error)
  }

  // ---- from the reader

  /** The reader wants more; it may arrive, even end, before this returns. */
  demand(stream: BodyStream): void {
    if (this.#failure !== undefined) return void stream.destroy(this.#failure)
    if (this.#hasEnded) return
    this.#waiting = stream
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#isTouched = true
    this.#controller.resume()
  }

  // ---- from whoever ends it

  /** Unlike a failure, it is heard of at once. */
  abort(error: Error): void {
    const stream = this.#reader
    if (stream === undefined) this.giveUp(error)
    else stream.destroy(error)
  }

  /** Nobody wants the rest: the wire settles it. */
  giveUp(reason: Error | null): void {
    if (this.#isDone) return
    this.#done()
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#failure = reason ?? new BodyGivenUpError()
    this.#controller.abort(this.#failure)
  }

  get #reader(): BodyStream | undefined {
    return this.#waiting ?? this.#stream?.deref()
  }

  #pause(): void {
    this.#isPaused = true
    this.#controller.pause()
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

  #done(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#waiting = undefined
    this.unwatch()
    this.#onDone()
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
    this.#body.giveUp(error)
    // As an IncomingMessage: an error that nobody listens for is no reason to end the process.
    callback(this.listenerCount('error') === 0 ? null : error)
  }
}
