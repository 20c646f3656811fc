/** Content codings (RFC 9110, 8.4), as lenient as undici's fetch: in one go for a whole body, as streams for one that still comes. */
import { pipeline, Transform, type TransformCallback } from 'node:stream'
import zlib from 'node:zlib'
import { ResponseTooLargeError } from '../errors.ts'
import type { Sink } from './incoming.ts'

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd'

/** More would be an attack (CVE-2022-32206). */
const mostCodings = 5

const { constants } = zlib
// Browsers take what a server cut short or ended badly, and curl does: so does undici.
const lenient = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }
const brotli = { flush: constants.BROTLI_OPERATION_FLUSH, finishFlush: constants.BROTLI_OPERATION_FLUSH }
const zstd = {
  flush: constants.ZSTD_e_continue,
  finishFlush: constants.ZSTD_e_end,
  // RFC 9659, 3: no window above 8 MiB.
  params: { [constants.ZSTD_d_windowLogMax]: 23 },
}

/**
 * The codings of a body in the order in which they are undone; none if one of them is unknown.
 * @throws Error if there are more than five
 */
export function readCodings(header: string | undefined): readonly Coding[] {
  if (header === undefined || header === '') return []
  const names = header.toLowerCase().split(',')
  if (names.length > mostCodings) {
    throw new Error(
      `too many content-encodings in response: ${names.length}, maximum allowed is ${mostCodings}`,
    )
  }
  const codings: Coding[] = []
  for (const name of names.reverse()) {
    const coding = name.trim()
    if (coding === 'gzip' || coding === 'x-gzip') codings.push('gzip')
    else if (coding === 'deflate' || coding === 'br' || coding === 'zstd') codings.push(coding)
    else return []
  }
  return codings
}

/** `deflate` is zlib's format by the standard, and raw deflate by some servers; the first byte tells. */
const isZlib = (chunk: Uint8Array): boolean => ((chunk[0] ?? 0) & 0x0f) === 0x08

/** Encoded bytes above which decoding leaves the event loop: below, the way to a thread and back takes longer. */
const worthThread = 64 * 1024

/**
 * Decodes a whole body, which may not become larger than `limit`.
 * @throws ResponseTooLargeError, or zlib's error
 */
export async function decodeWhole(
  encoded: Buffer,
  codings: readonly Coding[],
  limit: number,
): Promise<Buffer> {
  let bytes = encoded
  try {
    for (const [at, coding] of codings.entries()) {
      // zlib takes nothing at all for a body cut short.
      if (bytes.length === 0) break
      // What does not compress is a little longer encoded.
      const most = at < codings.length - 1 ? 2 * limit + worthThread : limit
      bytes = bytes.length > worthThread ? await inThread(bytes, coding, most) : here(bytes, coding, most)
    }
  } catch (error) {
    throw tooLarge(error, limit)
  }
  return bytes
}

/** The same at once, for a small body in one coding. */
export function decodeSmall(encoded: Buffer, codings: readonly Coding[], limit: number): Buffer | undefined {
  const [only] = codings
  if (only === undefined || codings.length > 1 || encoded.length > worthThread) return undefined
  try {
    return encoded.length === 0 ? encoded : here(encoded, only, limit)
  } catch (error) {
    throw tooLarge(error, limit)
  }
}

function withLimit<T extends object>(options: T, limit: number): T & { maxOutputLength?: number } {
  return limit === Infinity ? options : { ...options, maxOutputLength: Math.max(limit, 1) }
}

function tooLarge(error: unknown, limit: number): unknown {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    ? new ResponseTooLargeError(limit)
    : error
}

function here(bytes: Buffer, coding: Coding, limit: number): Buffer {
  if (coding === 'gzip') return zlib.gunzipSync(bytes, withLimit(lenient, limit))
  if (coding === 'br') return zlib.brotliDecompressSync(bytes, withLimit(brotli, limit))
  if (coding === 'zstd') return zlib.zstdDecompressSync(bytes, withLimit(zstd, limit))
  const options = withLimit(lenient, limit)
  return isZlib(bytes) ? zlib.inflateSync(bytes, options) : zlib.inflateRawSync(bytes, options)
}

function inThread(bytes: Buffer, coding: Coding, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, decoded: Buffer): void => {
      if (error === null) resolve(decoded)
      else reject(error)
    }
    if (coding === 'gzip') zlib.gunzip(bytes, withLimit(lenient, limit), done)
    else if (coding === 'br') zlib.brotliDecompress(bytes, withLimit(brotli, limit), done)
    else if (coding === 'zstd') zlib.zstdDecompress(bytes, withLimit(zstd, limit), done)
    else if (isZlib(bytes)) zlib.inflate(bytes, withLimit(lenient, limit), done)
    else zlib.inflateRaw(bytes, withLimit(lenient, limit), done)
  })
}

class AnyDeflate extends Transform {
  #inner: Transform | undefined

  override _transform(chunk: Buffer, encoding: BufferEncoding, callback: TransformCallback): void {
    if (this.#inner === undefined) {
      this.#inner = isZlib(chunk) ? zlib.createInflate(lenient) : zlib.createInflateRaw(lenient)
      this.#inner.on('data', (bytes: Buffer) => this.push(bytes))
      this.#inner.on('error', (error) => this.destroy(error))
      // It may come before the input has ended, of which it then takes no more.
      this.#inner.on('end', () => this.push(null))
    }
    this.#inner.write(chunk, encoding, callback)
  }

  override _flush(callback: TransformCallback): void {
    if (this.#inner === undefined || this.#inner.readableEnded) return callback()
    this.#inner.once('end', callback)
    this.#inner.end()
  }
}

function decoderOf(coding: Coding): Transform {
  if (coding === 'gzip') return zlib.createGunzip(lenient)
  if (coding === 'br') return zlib.createBrotliDecompress(brotli)
  if (coding === 'zstd') return zlib.createZstdDecompress(zstd)
  return new AnyDeflate()
}

/** Who is asked to wait, upstream. */
export interface Flow {
  pause(): void
  resume(): void
  /** The reader waits for more, or does not. */
  wants(isWaiting: boolean): void
  /** The reader has everything. */
  done(): void
  /** Nobody wants the rest. */
  giveUp(reason: unknown): void
}

/** Decodes on the way to another sink, which may pause it. */
export class Decoding implements Sink, Flow {
  readonly #upstream: Flow
  readonly #target: Sink
  readonly #head: Transform
  readonly #tail: Transform
  #isEmpty = true
  /** Decoded to its end, or failed. */
  #isOver = false

  constructor(codings: readonly Coding[], target: Sink, upstream: Flow) {
    this.#target = target
    this.#upstream = upstream
    const chain = codings.map(decoderOf)
    this.#head = chain[0] as Transform
    this.#tail = chain.at(-1) as Transform
    this.#tail.on('data', (bytes: Buffer) => target.push(bytes))
    this.#head.on('drain', () => upstream.resume())
    // Not when the pipeline is done: that is when everything is written to the last one.
    this.#tail.on('end', () => {
      if (this.#settle() && target.end()) upstream.done()
    })
    const onError = (error?: Error | null): void => {
      if (!error || !this.#settle()) return
      const reason = new TypeError('terminated', { cause: error })
      target.fail(reason)
      // Whoever reads an errored stream does not cancel it.
      upstream.giveUp(reason)
    }
    if (chain.length === 1) this.#head.on('error', onError)
    else pipeline(chain, onError)
  }

  push(chunk: Buffer): void {
    this.#isEmpty = false
    if (!this.#head.write(chunk)) this.#upstream.pause()
  }

  end(): boolean {
    // zlib takes nothing at all for a body cut short.
    if (this.#isEmpty) return this.#target.end()
    this.#head.end()
    return false
  }

  fail(error: unknown): void {
    this.stop()
    this.#target.fail(error)
  }

  pause(): void {
    this.#tail.pause()
  }

  resume(): void {
    this.#tail.resume()
  }

  wants(isWaiting: boolean): void {
    this.#upstream.wants(isWaiting)
  }

  done(): void {
    this.#upstream.done()
  }

  giveUp(reason: unknown): void {
    this.#upstream.giveUp(reason)
  }

  stop(): void {
    this.#tail.removeAllListeners('data')
    this.#head.on('error', () => {}).destroy()
    if (this.#tail !== this.#head) this.#tail.destroy()
  }

  #settle(): boolean {
    if (this.#isOver) return false
    return (this.#isOver = true)
  }
}
