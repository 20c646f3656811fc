/**
 * The fetch end of one response body: it takes what the wire hands on and passes it to one sink, once there is one. Until then it
 * keeps the wire paused, which then holds ahead what it may. It refers to no Response and, while nobody waits, to no stream, so that
 * both can be collected although the socket still delivers.
 */
import type { Dispatcher } from 'undici'
import { BodyGivenUpError } from '../errors.ts'
import { Watched } from './abandoned.ts'

type Controller = Dispatcher.DispatchController

/** Where the bytes of a body go. */
export interface Sink {
  push(chunk: Buffer): void
  /** All bytes are here. True if that was the end; else `done` of the flow follows once the reader has taken them. */
  end(): boolean
  fail(error: unknown): void
}

/** Who made the call this body belongs to. */
export interface Owner {
  /** A reader waits for more, or none does. */
  onDemand(isWaiting: boolean): void
  /** A body that has arrived can be aborted until it is read. */
  readonly canStillFail: boolean
  /** Everything has arrived, so there is nothing to wait for. */
  onArrived(): void
  /** Once: its reader has it all, or it failed, or nobody wants it any more. */
  onSettled(): void
}

export class Incoming extends Watched {
  readonly #controller: Controller
  readonly #owner: Owner
  #sink: Sink | undefined
  #isSettled = false
  #hasArrived = false
  #hasEnded = false
  /** Why it failed before anybody read it. */
  #failure: { readonly error: unknown } | undefined

  /** Nobody else has what is pushed: its memory may be handed on. */
  readonly ownsChunks: boolean

  constructor(controller: Controller, owner: Owner, ownsChunks: boolean) {
    super()
    this.#controller = controller
    this.#owner = owner
    this.ownsChunks = ownsChunks
    controller.pause()
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** To take it is not to wait. */
  get isWhole(): boolean {
    return this.#hasArrived && this.#failure === undefined
  }

  get isSettled(): boolean {
    return this.#isSettled
  }

  // ---- from the wire

  onData(chunk: Buffer): void {
    this.#sink?.push(chunk)
  }

  /** All of it is held by the wire: it will flow without a wait, whenever somebody reads it. */
  onArrived(): void {
    this.#hasArrived = true
    this.#owner.onArrived()
  }

  onEnd(): void {
    this.#hasEnded = true
    this.onArrived()
    if (this.#sink?.end() === true || !this.#owner.canStillFail) this.done()
  }

  /** The wire failed, or somebody else ended this body: its reader hears of it, now or when there is one. */
  fail(error: unknown): void {
    if (this.#hasEnded || this.#failure !== undefined) return
    this.#failure = { error }
    this.#settle()
    this.#sink?.fail(error)
    this.#sink = undefined
  }

  // ---- from the reader

  /** From now on `sink` hears of a failure, and gets the bytes once they flow. */
  attach(sink: Sink): void {
    this.#sink = sink
    if (this.#failure !== undefined) sink.fail(this.#failure.error)
  }

  /** Starts to take the body; it may arrive, even end, before this returns. */
  pipe(sink: Sink): void {
    this.attach(sink)
    if (this.#failure !== undefined) return
    if (this.#hasEnded) {
      if (sink.end()) this.done()
      return
    }
    this.wants(true)
    this.resume()
  }

  /** The reader has everything; a decoder may know that before the wire does. */
  done(): void {
    this.#sink = undefined
    this.#settle()
    if (!this.#hasEnded) this.#controller.abort(new BodyGivenUpError())
  }

  /** All of a body that is whole. */
  takeAll(): Buffer[] {
    const chunks: Buffer[] = []
    this.pipe({ push: (chunk) => void chunks.push(chunk), end: () => true, fail: () => {} })
    return chunks
  }

  pause(): void {
    if (!this.#isSettled && !this.#hasEnded) this.#controller.pause()
  }

  resume(): void {
    if (!this.#isSettled && !this.#hasEnded) this.#controller.resume()
  }

  wants(isWaiting: boolean): void {
    if (!this.#isSettled && !this.#hasEnded) this.#owner.onDemand(isWaiting)
  }

  /** Nobody wants the rest: whoever still waits for it gets `reason`, and the wire settles it. */
  giveUp(reason: unknown): void {
    if (this.#isSettled) return
    this.#failure ??= { error: reason }
    this.#settle()
    const sink = this.#sink
    this.#sink = undefined
    this.#controller.abort(reason instanceof Error ? reason : new BodyGivenUpError())
    sink?.fail(reason)
  }

  #settle(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.unwatch()
    this.#owner.onSettled()
  }
}
