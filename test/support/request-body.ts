/** The body of one HTTP/1.1 request, out of its framing. */

export class BodyReader {
  body: Buffer = Buffer.alloc(0)
  isWhole = false
  readonly #isChunked: boolean
  #left: number
  #inTrailers = false

  constructor(headers: readonly (readonly [string, string])[]) {
    const value = (wanted: string): string | undefined =>
      headers.find(([name]) => name.toLowerCase() === wanted)?.[1]
    this.#isChunked = /chunked/i.test(value('transfer-encoding') ?? '')
    this.#left = this.#isChunked ? 0 : Number(value('content-length') ?? 0)
  }

  /** Takes what belongs to the body and gives the rest back. */
  take(bytes: Buffer): Buffer {
    return this.#isChunked ? this.#takeChunks(bytes) : this.#takeLength(bytes)
  }

  #takeLength(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, this.#left)
    this.body = Buffer.concat([this.body, part])
    this.#left -= part.length
    this.isWhole = this.#left === 0
    return bytes.subarray(part.length)
  }

  #takeChunks(bytes: Buffer): Buffer {
    let rest = bytes
    while (!this.isWhole) {
      if (this.#left > 0) {
        // A chunk and its line end are taken together, or wait.
        if (rest.length < this.#left + 2) return rest
        this.body = Buffer.concat([this.body, rest.subarray(0, this.#left)])
        rest = rest.subarray(this.#left + 2)
        this.#left = 0
      }
      const end = rest.indexOf('\r\n')
      if (end === -1) return rest
      const line = rest.toString('latin1', 0, end)
      rest = rest.subarray(end + 2)
      if (this.#inTrailers) this.isWhole = line === ''
      else if (/^0+$/.test(line)) this.#inTrailers = true
      else this.#left = Number.parseInt(line, 16)
    }
    return rest
  }
}
