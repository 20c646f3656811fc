/** A whole body in one piece: undecoded bytes as they came, then decoded, then converted, as a promise. */
import { ResponseTooLargeError } from '../errors.ts'
import { type Coding, decodeSmall, decodeWhole, Decoding, type Flow } from './decode.ts'
import type { Sink } from './incoming.ts'

/** Makes a value of a body. `isFresh`: the bytes are in memory that nobody else refers to. */
export type Convert<T> = (bytes: Buffer, isFresh: boolean) => T

export class Collector<T> implements Sink {
  readonly #convert: Convert<T>
  readonly #codings: readonly Coding[]
  readonly #limit: number
  /** What fills this one, while it still comes; given up if the body is larger than `limit`. */
  readonly #upstream: Flow | undefined
  /** Encoded, and longer than `limit` already. */
  #decoding: Decoding | undefined
  #first: Buffer | undefined
  #more: Buffer[] | undefined
  #length = 0
  /** Most bodies have arrived when they are asked for, and need only a promise that is settled. */
  #settled: Promise<T> | undefined
  #resolvers: PromiseWithResolvers<T> | undefined

  constructor(convert: Convert<T>, codings: readonly Coding[], limit: number, upstream: Flow | undefined) {
    this.#convert = convert
    this.#codings = codings
    this.#limit = limit
    this.#upstream = upstream
  }

  /** The value. Ask once. */
  get promise(): Promise<T> {
    return this.#settled ?? (this.#resolvers = Promise.withResolvers<T>()).promise
  }

  // The first to settle it does: a body that is too large still ends, or is given up.
  #resolve(value: T): void {
    if (this.#resolvers === undefined) this.#settled ??= Promise.resolve(value)
    else this.#resolvers.resolve(value)
  }

  #reject(error: unknown): void {
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors, promise/no-promise-in-callback -- a reason may be anything
    if (this.#resolvers === undefined) this.#settled ??= Promise.reject(error)
    else this.#resolvers.reject(error)
  }

  push(chunk: Buffer): void {
    this.#length += chunk.length
    if (this.#length > this.#limit && this.#overflow(chunk)) return
    if (this.#first === undefined) this.#first = chunk
    else (this.#more ??= [this.#first]).push(chunk)
  }

  end(): boolean {
    if (this.#decoding !== undefined) return this.#decoding.end()
    const isFresh = this.#more !== undefined || this.#first === undefined
    const bytes = isFresh ? Buffer.concat(this.#more ?? [], this.#length) : (this.#first as Buffer)
    if (this.#codings.length === 0) this.finish(bytes, isFresh)
    else this.#decode(bytes)
    return true
  }

  fail(error: unknown): void {
    this.#decoding?.stop()
    this.#reject(error)
  }

  finish(bytes: Buffer, isFresh: boolean): void {
    try {
      this.#resolve(this.#convert(bytes, isFresh))
    } catch (error) {
      this.#reject(error)
    }
  }

  /**
   * More than `limit` has come. That is too large, or encoded: then it is decoded from now on as it comes, since nobody knows how much
   * more does. False if all of it is here, and can as well be decoded at once.
   */
  #overflow(chunk: Buffer): boolean {
    const upstream = this.#upstream
    if (this.#codings.length === 0) {
      const error = new ResponseTooLargeError(this.#limit)
      this.#first = this.#more = undefined
      this.#reject(error)
      upstream?.giveUp(error)
      return true
    }
    if (upstream === undefined) return false
    this.#decoding ??= this.#decodeOn(upstream)
    this.#decoding.push(chunk)
    return true
  }

  #decodeOn(upstream: Flow): Decoding {
    const convert = (bytes: Buffer, isFresh: boolean): void => this.finish(bytes, isFresh)
    const decoded = new Collector(convert, [], this.#limit, upstream)
    decoded.promise.catch((error: unknown) => this.#reject(error))
    const decoding = new Decoding(this.#codings, decoded, upstream)
    for (const chunk of this.#more ?? (this.#first === undefined ? [] : [this.#first])) decoding.push(chunk)
    this.#first = this.#more = undefined
    return decoding
  }

  #decode(encoded: Buffer): void {
    const fail = (error: unknown): void =>
      this.#reject(
        error instanceof ResponseTooLargeError ? error : new TypeError('terminated', { cause: error }),
      )
    let small: Buffer | undefined
    try {
      small = decodeSmall(encoded, this.#codings, this.#limit)
    } catch (error) {
      return fail(error)
    }
    if (small !== undefined) this.finish(small, true)
    else void decodeWhole(encoded, this.#codings, this.#limit).then((bytes) => this.finish(bytes, true), fail)
  }
}

const decoder = new TextDecoder()

/** UTF-8 decode (Encoding, 6): like undici's, it takes two byte order marks away where there are two. */
export function toText(bytes: Buffer): string {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  return decoder.decode(hasMark ? bytes.subarray(3) : bytes)
}
