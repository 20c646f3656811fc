/** The body of somebody else's Response, a web stream or a stream of Node's, read chunk by chunk. */
import { Readable } from 'node:stream'

/** Whatever it is made of, it is read one chunk at a time, and never rejects unseen. */
export interface ForeignBody {
  /** The next chunk; undefined at the end. */
  read(): Promise<Buffer | undefined>
  /** Nobody wants the rest. */
  cancel(reason: unknown): void
  /** It has failed while nobody read. */
  onFailure(listener: (error: Error) => void): void
}

/** @throws TypeError for a stream that somebody reads already */
export function readerOf(body: object, owner: object): ForeignBody {
  if ('getReader' in body) return new WebBody(body as ReadableStream<unknown>, owner)
  if (Symbol.asyncIterator in body) return new NodeBody(body as AsyncIterable<unknown>)
  throw new TypeError('The body of the response is no stream')
}

function toBuffer(chunk: unknown): Buffer {
  if (typeof chunk === 'string') return Buffer.from(chunk)
  if (chunk instanceof Uint8Array) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  throw new TypeError('The body of the response has a chunk that is neither bytes nor text')
}

class WebBody implements ForeignBody {
  readonly #reader: ReadableStreamDefaultReader<unknown>
  /** Referred to while its body is. */
  readonly owner: object

  constructor(stream: ReadableStream<unknown>, owner: object) {
    this.#reader = stream.getReader()
    this.owner = owner
  }

  async read(): Promise<Buffer | undefined> {
    const { done, value } = await this.#reader.read()
    return done ? undefined : toBuffer(value)
  }

  cancel(reason: unknown): void {
    // Not awaited: of a cloned response it settles only when the other branch ends.
    this.#reader.cancel(reason).catch(() => {})
  }

  onFailure(listener: (error: Error) => void): void {
    this.#reader.closed.catch(listener)
  }
}

class NodeBody implements ForeignBody {
  readonly #stream: AsyncIterable<unknown>
  readonly #iterator: AsyncIterator<unknown>

  constructor(stream: AsyncIterable<unknown>) {
    if (Readable.isDisturbed(stream as Readable)) throw new TypeError('The body has been read already')
    this.#stream = stream
    this.#iterator = stream[Symbol.asyncIterator]()
    // Its iterator listens only from the first read on, and an error nobody listens to ends the process.
    this.onFailure(() => {})
  }

  async read(): Promise<Buffer | undefined> {
    const { done, value } = await this.#iterator.next()
    return done === true ? undefined : toBuffer(value)
  }

  cancel(): void {
    if (this.#stream instanceof Readable) this.#stream.destroy()
    else this.#iterator.return?.().catch(() => {})
  }

  onFailure(listener: (error: Error) => void): void {
    if (this.#stream instanceof Readable) this.#stream.on('error', listener)
  }
}
