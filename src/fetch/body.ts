/**
 * The reader's side of one response body: read whole, as a stream, cloned or given up. What is read whole needs no stream, and a body
 * that has arrived is cloned without a tee.
 */
import { Readable } from 'node:stream'
import { ResponseTooLargeError } from '../errors.ts'
import { Collector, type Convert } from './collect.ts'
import { type Coding, decodeWhole } from './decode.ts'
import type { Incoming } from './incoming.ts'
import { streamOf } from './stream.ts'

type Bytes = ReadableStream<Uint8Array>

/** Where the bytes are: still to come, here, or in a stream of somebody else's making (undici's, or half of a tee). */
type Source =
  | { readonly kind: 'incoming'; readonly incoming: Incoming }
  | { readonly kind: 'whole'; readonly chunks: readonly Buffer[] }
  | { readonly kind: 'stream'; readonly take: () => Bytes }

/** The way to a body that somebody has locked. */
export interface Wire {
  readonly hasEnded: boolean
  abort(reason: Error): void
}

const used = (): TypeError => new TypeError('Body is unusable: Body has already been read')

export class ResponseBody {
  readonly #codings: readonly Coding[]
  readonly #limit: number
  #source: Source
  #stream: Bytes | undefined
  /** Read whole, without a stream. */
  #isConsumed = false
  /** Of a body in a stream of somebody else's. */
  readonly #wire: Wire | undefined

  /** @param limit bytes that may be read whole, decoded */
  constructor(source: Source, codings: readonly Coding[], limit: number, wire?: Wire) {
    this.#source = source
    this.#codings = codings
    this.#limit = limit
    this.#wire = wire
  }

  get isUsed(): boolean {
    return this.#isConsumed || (this.#stream !== undefined && isDisturbed(this.#stream))
  }

  get isUnusable(): boolean {
    return this.isUsed || this.#stream?.locked === true
  }

  /** Nothing of it is on its way any more. */
  get hasEnded(): boolean {
    return (
      this.#source.kind === 'whole' ||
      (this.#source.kind === 'incoming' ? this.#source.incoming.hasEnded : (this.#wire?.hasEnded ?? false))
    )
  }

  get hasStream(): boolean {
    return this.#stream !== undefined
  }

  /** Its stream, always the same one; made on first access. */
  get stream(): Bytes {
    if (this.#stream !== undefined) return this.#stream
    if (this.#isConsumed) return (this.#stream = spent())
    this.#stream = this.#makeStream()
    // It may outlive the Response it was taken from: from now on it is the one whose end matters.
    if (this.#source.kind === 'incoming' && !this.#source.incoming.isSettled)
      this.#source.incoming.watch(this.#stream)
    return this.#stream
  }

  /** The whole body, converted; a second reader is refused. */
  read<T>(convert: Convert<T>): Promise<T> {
    if (this.isUnusable) return Promise.reject(used())
    const source = this.#source
    if (this.#stream !== undefined || source.kind === 'stream') {
      const collector = new Collector(convert, [], this.#limit, undefined)
      const finish = (bytes: Buffer): void => collector.finish(bytes, true)
      void collectStream(this.stream, this.#limit).then(finish, (error: unknown) => collector.fail(error))
      return collector.promise
    }
    this.#isConsumed = true
    if (source.kind === 'whole') return this.#readWhole(source.chunks, convert)
    const { incoming } = source
    incoming.unwatch()
    const collector = new Collector(convert, this.#codings, this.#limit, incoming)
    incoming.pipe(collector)
    return collector.promise
  }

  #readWhole<T>(chunks: readonly Buffer[], convert: Convert<T>): Promise<T> {
    const collector = new Collector(convert, this.#codings, this.#limit, undefined)
    for (const chunk of chunks) collector.push(chunk)
    collector.end()
    return collector.promise
  }

  /** A second body with the same bytes. */
  clone(): ResponseBody {
    // Of one that still comes nothing is taken: that would look like a reader, from whom nobody takes a body back.
    if (this.#source.kind === 'incoming' && this.#source.incoming.isWhole && this.#stream === undefined)
      this.#source = { kind: 'whole', chunks: this.#source.incoming.takeAll() }
    if (this.#source.kind === 'whole' && this.#stream === undefined)
      return new ResponseBody(this.#source, this.#codings, this.#limit, this.#wire)
    const [mine, theirs] = this.stream.tee()
    this.#stream = mine
    this.#source = { kind: 'stream', take: () => mine }
    return new ResponseBody({ kind: 'stream', take: () => theirs }, [], this.#limit, this.#wire)
  }

  /** Nobody wants the rest; whoever is reading it gets `reason`. */
  giveUp(reason: Error): void {
    const source = this.#source
    if (source.kind === 'incoming') {
      source.incoming.giveUp(reason)
    } else if (source.kind === 'stream') {
      // Half of a tee: the other half may be read on.
      if (!this.stream.locked) this.stream.cancel(reason).catch(() => {})
      else this.#wire?.abort(reason)
    }
    this.#isConsumed = true
  }

  #makeStream(): Bytes {
    const source = this.#source
    if (source.kind === 'stream') return source.take()
    if (source.kind === 'whole') return streamOfWhole(source.chunks, this.#codings, this.#limit)
    const { incoming } = source
    return streamOf(incoming, this.#codings, (reason) => incoming.giveUp(reason))
  }
}

const isDisturbed = (stream: Bytes): boolean => Readable.isDisturbed(stream as unknown as Readable)

/** What `body` is after it was read without one: closed, locked, disturbed. */
function spent(): Bytes {
  const stream = new ReadableStream({ type: 'bytes', start: (controller) => controller.close() })
  void stream.getReader().read()
  return stream
}

function streamOfWhole(chunks: readonly Buffer[], codings: readonly Coding[], limit: number): Bytes {
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      const encoded = Buffer.concat(chunks)
      try {
        const bytes = await decodeWhole(encoded, codings, limit)
        // A copy: the reader may transfer its buffer, and these bytes may be a clone's as well.
        if (bytes.length > 0) controller.enqueue(new Uint8Array(bytes))
        controller.close()
        controller.byobRequest?.respond(0)
      } catch (error) {
        controller.error(new TypeError('terminated', { cause: error }))
      }
    },
  })
}

async function collectStream(stream: Bytes, limit: number): Promise<Buffer> {
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return Buffer.concat(chunks, length)
    length += value.length
    if (length > limit) {
      const error = new ResponseTooLargeError(limit)
      reader.cancel(error).catch(() => {})
      throw error
    }
    chunks.push(value)
  }
}
