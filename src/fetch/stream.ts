/** The byte stream of a body: made on first access, pulls only while somebody reads, and can be forgotten by its reader. */
import { type Coding, Decoding, type Flow } from './decode.ts'
import type { Incoming, Sink } from './incoming.ts'

type ByteController = ReadableByteStreamController

/** Bytes kept between the wire and a reader that is slower: four reads of a socket, so that it need not be stopped after each. */
const highWaterMark = 256 * 1024

/** What is between an {@link Incoming} and its stream. While no read waits it refers to the stream only weakly. */
class Pump implements Sink {
  readonly #controller: WeakRef<ByteController>
  /** The stream whose reader waits. */
  #waiting: { readonly controller: ByteController; readonly done: () => void } | undefined
  #queue: Buffer[] = []
  #queued = 0
  #isPaused = false
  #isDeliverySet = false
  #hasEnded = false
  #hasFailed = false
  readonly #flow: Flow

  readonly #ownsChunks: boolean

  constructor(controller: ByteController, flow: Flow, ownsChunks: boolean) {
    this.#ownsChunks = ownsChunks
    this.#controller = new WeakRef(controller)
    this.#flow = flow
  }

  push(chunk: Buffer): void {
    this.#queue.push(chunk)
    this.#queued += chunk.length
    if (this.#waiting !== undefined) {
      if (this.#isDeliverySet) return
      this.#isDeliverySet = true
      // What else is in this packet goes along.
      queueMicrotask(() => this.#deliverToWaiting())
    } else if (this.#queued >= highWaterMark && !this.#isPaused) {
      this.#isPaused = true
      this.#flow.pause()
    }
  }

  end(): boolean {
    this.#hasEnded = true
    this.#deliverToWaiting()
    const waiting = this.#waiting
    if (waiting === undefined) return false
    this.#waiting = undefined
    close(waiting.controller)
    waiting.done()
    return true
  }

  /** At once, also for those who only wait for `reader.closed`. */
  fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#queue = []
    this.#queued = 0
    const waiting = this.#waiting
    this.#waiting = undefined
    try {
      ;(waiting?.controller ?? this.#controller.deref())?.error(error)
    } catch {
      // The reader has cancelled it.
    }
    waiting?.done()
  }

  pull(controller: ByteController): void | Promise<void> {
    if (this.#queued > 0) {
      this.#deliver(controller)
    } else if (this.#hasEnded) {
      close(controller)
      this.#flow.done()
    } else if (!this.#hasFailed) {
      return new Promise((done) => {
        this.#waiting = { controller, done }
        this.#flow.wants(true)
        this.#flowOn()
      })
    }
  }

  #flowOn(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#flow.resume()
  }

  #deliverToWaiting(): void {
    this.#isDeliverySet = false
    const waiting = this.#waiting
    if (waiting === undefined || this.#queued === 0) return
    this.#waiting = undefined
    this.#flow.wants(false)
    this.#deliver(waiting.controller)
    waiting.done()
  }

  /**
   * All that is queued in one chunk. The stream takes its buffer over, so that it is a copy, unless the chunk is a whole read of the
   * socket and nobody else has it.
   */
  #deliver(controller: ByteController): void {
    const [first] = this.#queue
    const isAlone = this.#ownsChunks && this.#queue.length === 1 && first?.length === first?.buffer.byteLength
    const bytes = isAlone ? new Uint8Array(first?.buffer as ArrayBuffer) : this.#merged()
    this.#queue = []
    this.#queued = 0
    controller.enqueue(bytes)
    if (!this.#hasEnded) this.#flowOn()
  }

  #merged(): Uint8Array<ArrayBuffer> {
    // Not zeroed first: every byte of it is written.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(this.#queued).buffer)
    let at = 0
    for (const chunk of this.#queue) {
      bytes.set(chunk, at)
      at += chunk.length
    }
    return bytes
  }
}

function close(controller: ByteController): void {
  controller.close()
  // A reader with a buffer of its own waits for an answer even at the end.
  controller.byobRequest?.respond(0)
}

/** The stream of `incoming`. Nothing is pulled until it is read. */
export function streamOf(
  incoming: Incoming,
  codings: readonly Coding[],
  onCancel: (reason: unknown) => void,
): ReadableStream<Uint8Array> {
  let pump: Pump
  let decoding: Decoding | undefined
  let isPiped = false
  const flow: Flow = {
    pause: () => (decoding ?? incoming).pause(),
    resume: () => (decoding ?? incoming).resume(),
    wants: (isWaiting) => incoming.wants(isWaiting),
    done: () => incoming.done(),
    giveUp: (reason) => incoming.giveUp(reason),
  }
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      pump = new Pump(controller, flow, incoming.ownsChunks && codings.length === 0)
      incoming.attach(pump)
    },
    pull(controller) {
      const pulled = pump.pull(controller)
      if (isPiped) return pulled
      isPiped = true
      // Not before: a decoder takes as much memory as a small body.
      if (codings.length > 0) decoding = new Decoding(codings, pump, incoming)
      incoming.pipe(decoding ?? pump)
      return pulled
    },
    cancel(reason) {
      decoding?.stop()
      onCancel(reason)
    },
  })
}
