/**
 * What one attempt after another sends: everything that can be read again is; a function that makes the body is called for each attempt;
 * a stream is sent once, and never again as an empty one.
 */
import { types } from 'node:util'
import { type Base, resolveAddress } from '../fetch/address.ts'
import { isForeignRequest, isRequest } from '../fetch/classes.ts'
import type { FetchInit } from '../fetch/fetch.ts'
import { spread } from '../fetch/init.ts'
import { atHand, cancel, OwnBytes } from '../fetch/request.ts'
import { signalOf } from '../fetch/signals.ts'
import { withoutUndefined } from '../options/check.ts'

export type Input = string | URL | Request

/** The arguments of fetch for one attempt. */
export interface Sendable {
  readonly input: Input
  readonly init: FetchInit
}

/** A call that can be sent as often as its body allows. */
export interface Replay {
  readonly isRepeatable: boolean
  readonly method: string
  readonly url: string
  readonly headers: FetchInit['headers']
  readonly signal: AbortSignal | null | undefined
  /** Arguments for the next attempt, at this URL; calls the caller's function, if the body is one. */
  next(url: string): Sendable | Promise<Sendable>
}

/** Their requests have no body. */
const bodiless: ReadonlySet<string> = new Set(['GET', 'HEAD'])

/** @param origin base for relative URLs */
export function replayOf(
  input: Input,
  init: FetchInit | undefined,
  origin: Base | undefined,
): Replay | Promise<Replay> {
  const given = init ?? {}
  if (!isRequest(input)) return replay(input, given, origin)
  const parts = { ...partsOf(input), ...withoutUndefined(given) }
  // Not every fetch shows it.
  const body = input.body as Request['body'] | undefined
  const isSendable = body === undefined ? !bodiless.has(input.method) : body !== null
  const hasOwn = isSendable && parts.body == null
  if (hasOwn && body != null && 'getReader' in body)
    return atHand(body).then(({ source, send }) =>
      replay(
        input.url,
        { ...parts, body: (source ?? send()) as NonNullable<RequestInit['body']>, duplex: 'half' },
        origin,
      ),
    )
  // Of another fetch it may have more than these parts (node-fetch's an agent), and a stream of its own kind.
  const whole = isForeignRequest(input) ? { input, init: given } : undefined
  const made = replay(input.url, parts, origin, whole)
  return hasOwn ? { ...made, isRepeatable: false } : made
}

/** @param whole what is sent instead, unless a policy has another URL */
function replay(
  input: string | URL,
  init: FetchInit,
  origin: Base | undefined,
  whole: Sendable = { input, init },
): Replay {
  const { body, method = 'GET', headers, signal } = init
  const url =
    typeof input === 'string' ? (origin === undefined ? input : resolveAddress(input, origin)) : input.href
  return {
    isRepeatable: isRepeatable(body),
    method: method.toUpperCase(),
    headers,
    signal,
    url,
    next(at) {
      const sent = at === url ? whole : { input: at, init }
      return typeof body === 'function' ? withBody(sent, body) : sent
    },
  }
}

async function withBody(
  { input, init }: Sendable,
  make: Extract<FetchInit['body'], () => unknown>,
): Promise<Sendable> {
  return { input, init: { ...init, body: await make(), duplex: 'half' } }
}

/** Of an attempt that is not made after all. */
export function giveUp({ init: { body } }: Sendable): void {
  if (typeof body === 'object' && body !== null && !isRepeatable(body)) cancel(body, undefined)
}

/** What a call was given, as it is now: what its caller changes afterwards is not sent by a later attempt. */
export function asGiven(init: FetchInit): FetchInit {
  const { headers, body } = init
  const copy = spread(init)
  if (typeof headers === 'object' && headers !== null)
    copy.headers = Symbol.iterator in headers ? [...(headers as Headers)] : { ...headers }
  if (typeof body === 'object' && body !== null && isRepeatable(body)) copy.body = copyOf(body)
  return copy
}

function copyOf<T extends object>(body: T): T | OwnBytes {
  if (types.isArrayBuffer(body)) return new OwnBytes(body.slice(0))
  if (ArrayBuffer.isView(body)) {
    const { buffer, byteOffset, byteLength } = body
    return types.isSharedArrayBuffer(buffer)
      ? body
      : new OwnBytes(buffer.slice(byteOffset, byteOffset + byteLength))
  }
  if (body instanceof URLSearchParams) return new URLSearchParams(body) as T
  if (body instanceof Blob) return body
  const form = body as unknown as FormData
  const copy = new (form.constructor as typeof FormData)()
  for (const [name, value] of form) copy.append(name, value)
  return copy as unknown as T
}

/** Streams and iterators are used up by the first who reads them. */
function isRepeatable(body: FetchInit['body']): boolean {
  if (typeof body !== 'object' || body === null) return true
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body) || body instanceof Blob) return true
  if (body instanceof URLSearchParams) return true
  // The package form-data has a stream of that name.
  return Object.prototype.toString.call(body) === '[object FormData]' && Symbol.iterator in body
}

/** A Request of whatever make as an init: only what it does not have by default, since some of it is not for everybody. */
function partsOf(request: Request): FetchInit {
  const { method, headers, redirect, keepalive, integrity, mode, credentials, cache } = request
  const signal = signalOf(request)
  const parts: FetchInit = { method, headers: [...headers], redirect, signal, mode, credentials, cache }
  if (keepalive) parts.keepalive = true
  if (integrity !== '') parts.integrity = integrity
  if (request.referrer !== 'about:client') parts.referrer = request.referrer
  if (request.referrerPolicy !== '') parts.referrerPolicy = request.referrerPolicy
  return parts
}
