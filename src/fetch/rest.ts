/**
 * A stream of which the beginning has been read, as what is sent; whoever ends it cancels the stream. It is no generator: one that was
 * never begun, or that waits, cannot be told to end.
 */
type Chunk = Awaited<ReturnType<ReadableStreamDefaultReader<Uint8Array>['read']>>

export class Rest implements AsyncIterableIterator<Uint8Array> {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #parts: Uint8Array[]
  /** A read that is under way. */
  #pending: Promise<Chunk> | undefined

  constructor(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    parts: Uint8Array[],
    pending: Promise<Chunk> | undefined,
  ) {
    this.#reader = reader
    this.#parts = parts
    this.#pending = pending
    // It may fail before anybody asks for it.
    pending?.catch(() => {})
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const value = this.#parts.shift()
    if (value !== undefined) return { done: false, value }
    const chunk = await (this.#pending ?? this.#reader.read())
    this.#pending = undefined
    return chunk.done ? { done: true, value: undefined } : chunk
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.cancel(undefined)
    return { done: true, value: undefined }
  }

  cancel(reason: unknown): void {
    this.#parts.length = 0
    this.#reader.cancel(reason).catch(() => {})
  }
}
