/**
 * `(input, init)` to what the short lane sends. It answers undefined ("not for us") for everything it would not send exactly as
 * undici's fetch does, bad input included: undici then does it, or refuses it in its own words.
 */
import { Readable } from 'node:stream'
import { types } from 'node:util'
import { getGlobalOrigin, Headers as UndiciHeaders } from 'undici'
import { type Address, readAddress } from './address.ts'
import type { FetchInit } from './fetch.ts'
import { append, type HeaderList, noHeaders, readHeaders } from './headers.ts'
import { unsent } from './init.ts'
import { Rest } from './rest.ts'
import { signalOf } from './signals.ts'

/** A body that can be sent again, as often as a redirect asks for it. */
export type Source = string | Uint8Array | Blob

export interface RequestBody {
  /** Null for a stream, which can be sent once. */
  readonly source: Source | null
  /** What is sent: text and bytes as they are, the rest in chunks. */
  readonly send: () => string | Uint8Array | AsyncIterable<Uint8Array>
  /** Bytes; null if not known. */
  readonly length: number | null
  /** The stream it was made of. */
  readonly stream?: ReadableStream<Uint8Array>
  /** Ends what will not be sent. */
  readonly cancel?: (reason: unknown) => void
}

/** What one call asks for; each redirect makes a new one of it. */
export interface Outgoing {
  readonly url: Address
  readonly method: string
  readonly headers: HeaderList
  readonly body: RequestBody | null
  readonly redirect: 'follow' | 'manual' | 'error'
  readonly signal: AbortSignal | null
}

/** The fields of `init` and of a Request that short and long lane read alike. */
interface Parts {
  readonly method?: unknown
  readonly headers?: unknown
  readonly body?: unknown
  readonly redirect?: unknown
  readonly signal?: unknown
  readonly duplex?: unknown
  readonly keepalive?: unknown
  readonly mode?: unknown
  readonly credentials?: unknown
  readonly cache?: unknown
  readonly integrity?: unknown
  readonly referrer?: unknown
  readonly referrerPolicy?: unknown
  readonly window?: unknown
  readonly priority?: unknown
}

/** Those that fetch normalizes, in the spellings people use, and the one more that it does not. */
const methods: ReadonlyMap<unknown, string> = new Map(
  Object.entries({
    GET: 'GET',
    HEAD: 'HEAD',
    POST: 'POST',
    PUT: 'PUT',
    PATCH: 'PATCH',
    DELETE: 'DELETE',
    OPTIONS: 'OPTIONS',
    get: 'GET',
    head: 'HEAD',
    post: 'POST',
    put: 'PUT',
    delete: 'DELETE',
    options: 'OPTIONS',
    QUERY: 'QUERY',
  }),
)

/** Most calls have none. */
const noInit: Parts = {}

type Defaults = Readonly<Record<string, string>> | undefined

/**
 * The request, or undefined if it is not for the short lane.
 * @param defaults headers that are sent unless the call sets them
 */
export function readRequest(
  input: string | URL | Request,
  init: FetchInit = noInit as FetchInit,
  defaults?: Defaults,
): Outgoing | undefined {
  if (typeof init !== 'object' || init === null || getGlobalOrigin() !== undefined) return undefined
  if (typeof input === 'string' || input instanceof URL) return read(String(input), init, defaults)
  // A Request of Node's own, as libraries make it. With an init on top it is a new one, which is not for us to make.
  const isEmpty = Object.keys(init).every((key) => unsent.has(key))
  if (!(input instanceof Request) || !isEmpty || input.referrer !== 'about:client') return undefined
  const { url, method, headers, body, redirect, mode, credentials, cache, integrity, referrerPolicy } = input
  if (input.bodyUsed) return undefined
  const duplex = body === null ? undefined : 'half'
  const parts = {
    method,
    headers,
    body,
    redirect,
    signal: signalOf(input),
    mode,
    credentials,
    cache,
    integrity,
    referrerPolicy,
    duplex,
  }
  return read(url, parts, defaults)
}

function read(address: string, init: Parts, defaults: Defaults): Outgoing | undefined {
  const { method: given = 'GET', redirect = 'follow', signal = null, body: content = null } = init
  const method = methods.get(given)
  if (method === undefined || (init !== noInit && !isUsual(init))) return undefined
  if (redirect !== 'follow' && redirect !== 'manual' && redirect !== 'error') return undefined
  if (signal !== null && !(signal instanceof AbortSignal)) return undefined
  const url = readAddress(address)
  if (url === undefined) return undefined
  if (init.headers instanceof UndiciHeaders) return undefined
  const own = readHeaders(init.headers)
  if (own === undefined) return undefined
  const headers = own === noHeaders && (defaults !== undefined || content !== null) ? new Map() : own
  for (const name in defaults) {
    if (!headers.has(name.toLowerCase())) append(headers, name, defaults[name] as string)
  }
  if (content === null) return { url, method, headers, body: null, redirect, signal }
  if (method === 'GET' || method === 'HEAD') return undefined
  const known = readBody(content, init)
  if (known === undefined) return undefined
  if (known.type !== null && !headers.has('content-type')) append(headers, 'content-type', known.type)
  return { url, method, headers, body: known.body, redirect, signal }
}

/** The settings of browsers, at the values that change nothing. */
function isUsual(init: Parts): boolean {
  const { mode, cache, credentials, integrity, duplex, priority } = init
  return (
    (mode === undefined || mode === 'cors') &&
    (cache === undefined || cache === 'default') &&
    (credentials === undefined ||
      credentials === 'same-origin' ||
      credentials === 'include' ||
      credentials === 'omit') &&
    (integrity === undefined || integrity === '') &&
    (duplex === undefined || duplex === 'half') &&
    (priority === undefined || priority === 'auto' || priority === 'high' || priority === 'low') &&
    init.referrer === undefined &&
    (init.referrerPolicy === undefined || init.referrerPolicy === '') &&
    !('window' in init)
  )
}

interface Extracted {
  readonly body: RequestBody
  readonly type: string | null
}

/** Fetch, 5.2 (extract a body), but for FormData. */
function readBody(content: unknown, init: Parts): Extracted | undefined {
  if (typeof content === 'string')
    return whole(content, Buffer.byteLength(content), 'text/plain;charset=UTF-8')
  if (content instanceof URLSearchParams) {
    const text = content.toString()
    return whole(text, Buffer.byteLength(text), 'application/x-www-form-urlencoded;charset=UTF-8')
  }
  if (types.isArrayBuffer(content)) return bytes(new Uint8Array(content))
  if (ArrayBuffer.isView(content)) {
    const { buffer, byteOffset, byteLength } = content
    return types.isSharedArrayBuffer(buffer)
      ? undefined
      : bytes(new Uint8Array(buffer, byteOffset, byteLength))
  }
  if (content instanceof Blob) {
    const body = { source: content, send: () => chunksOf(content.stream()), length: content.size }
    return { body, type: content.type === '' ? null : content.type }
  }
  if (typeof content !== 'object' || content === null || init.duplex === undefined || init.keepalive)
    return undefined
  if (!(Symbol.asyncIterator in content) || isTaken(content)) return undefined
  if (Object.prototype.toString.call(content) === '[object FormData]') return undefined
  const isBytes =
    content instanceof Readable && !content.readableObjectMode && content.readableEncoding === null
  // undici writes what a stream of Node's emits; its iterator would be three times slower.
  const send = (): AsyncIterable<Uint8Array> =>
    isBytes ? content : chunksOf(content as AsyncIterable<unknown>)
  const body = { source: null, send, length: null, cancel: (reason: unknown) => cancel(content, reason) }
  return { body: content instanceof ReadableStream ? { ...body, stream: content } : body, type: null }
}

/** Ends a body that will not be sent; what cannot be left open stays as it is. */
export function cancel(content: unknown, reason: unknown): void {
  if (content instanceof ReadableStream) {
    if (!content.locked) content.cancel(reason).catch(() => {})
  } else if (content instanceof Readable) {
    content.destroy()
  } else {
    const iterator = (content as Partial<AsyncIterable<unknown>> | null | undefined)?.[
      Symbol.asyncIterator
    ]?.()
    iterator?.return?.().catch(() => {})
  }
}

function isTaken(stream: object): boolean {
  return Readable.isDisturbed(stream as Readable) || ('locked' in stream && stream.locked === true)
}

function whole(source: string, length: number, type: string): Extracted {
  return { body: { source, send: () => source, length }, type }
}

/** A copy of bytes, made once for all attempts of a call. */
export class OwnBytes extends Uint8Array {}

/** A copy: whoever changes the bytes after the call does not change the request. */
function bytes(view: Uint8Array): Extracted {
  const source = view instanceof OwnBytes ? view : Buffer.from(view)
  return { body: { source, send: () => source, length: source.length }, type: null }
}

async function* chunksOf(stream: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) yield chunk instanceof Uint8Array ? chunk : Buffer.from(chunk as string)
}

/** Bytes of a Request's body that are sent with their length, if they are at hand. */
const mostAtHand = 1024 * 1024

/**
 * Node does not tell whether a Request was made of text or of a stream. What can be had without waiting was text or bytes: it is
 * sent with its length and can be sent again, as it was meant.
 * @throws TypeError as fetch does: for a stream that has been read from, be it unlocked again, and for one that fails at once
 */
export async function atHand(stream: ReadableStream<Uint8Array>): Promise<RequestBody> {
  if (isTaken(stream))
    throw new TypeError('Cannot construct a Request with a Request object that has already been used.')
  try {
    return await begin(stream.getReader())
  } catch (error) {
    throw new TypeError('fetch failed', { cause: error })
  }
}

async function begin(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<RequestBody> {
  const parts: Uint8Array[] = []
  let size = 0
  for (;;) {
    const next = reader.read()
    const result = await Promise.race([next, nextTurn()])
    if (result?.done === true) return bytes(Buffer.concat(parts)).body
    if (result !== undefined) {
      parts.push(result.value)
      size += result.value.length
    }
    if (result === undefined || size > mostAtHand) {
      const rest = new Rest(reader, parts, result === undefined ? next : undefined)
      return { source: null, send: () => rest, length: null, cancel: (reason) => rest.cancel(reason) }
    }
  }
}

const nextTurn = (): Promise<undefined> =>
  new Promise((resolve) => void setImmediate(() => resolve(undefined)))
