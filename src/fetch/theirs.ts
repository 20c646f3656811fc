/** What a fetch of somebody else's is asked, and what its answer says. Pure. */
import { InvalidOptionError } from '../errors.ts'
import { refuseUnseen } from '../options.ts'
import { atOrigin, type CallDefaults, type FetchInit } from './fetch.ts'
import { ours, spread } from './init.ts'
import type { RawHeaders } from './response.ts'
import { signalOf } from './signals.ts'

export type Input = string | URL | Request

/** The call that is to be made. */
export interface Asked {
  readonly input: Input
  readonly init: FetchInit | undefined
  readonly url: string
  readonly method: string
  readonly signal: AbortSignal | null
}

/** What the wire reads. */
export interface Answer {
  readonly status: number
  readonly statusText: string
  readonly headers: RawHeaders
  readonly body: object | null
  readonly owner: object
}

/** A Response of whatever class. */
export interface Theirs {
  readonly status: number
  readonly statusText?: string
  readonly headers: Iterable<readonly [string, string]> & { raw?: () => RawHeaders }
  readonly body: object | null
  readonly url?: string
  readonly redirected?: boolean
  readonly type?: Response['type']
}

/** Of whatever make the other fetch takes: not all of them say that they are one. */
const hasUrl = (input: Input): input is Request => typeof input === 'object' && 'url' in input

export function ask(input: Input, init: FetchInit | undefined, defaults: CallDefaults): Asked {
  const target = atOrigin(input, defaults.origin)
  const request = hasUrl(target) ? target : undefined
  const asked = {
    input: target,
    url: hasUrl(target) ? target.url : String(target),
    method: (init?.method ?? request?.method ?? 'GET').toUpperCase(),
    // Null is a choice: none.
    signal: init?.signal === undefined ? (request?.signal == null ? null : signalOf(request)) : init.signal,
  }
  const hasOurs = init != null && ours.some((name) => init[name] !== undefined)
  if (!hasOurs && defaults.headers === undefined) return { ...asked, init }
  const { timeout, retry: _retry, hedge: _hedge, decompress, ...own } = spread(init ?? {})
  if (typeof timeout === 'object') refuseUnseen(timeout, 'init.timeout')
  if (decompress !== undefined)
    throw new InvalidOptionError(
      'init.decompress',
      'Option init.decompress cannot be combined with fetch: what it does with content codings is its own',
    )
  if (defaults.headers === undefined) return { ...asked, init: own }
  const headers = new Headers(own.headers ?? request?.headers)
  for (const [name, value] of Object.entries(defaults.headers))
    if (!headers.has(name)) headers.set(name, value)
  // Plain: every fetch takes it, whatever its classes.
  return { ...asked, init: { ...own, headers: Object.fromEntries(headers) } }
}

/** Undefined for what has nothing to read: half a Response, as simple mocks make it. */
export function asResponse(answer: unknown): Theirs | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined
  const { status, headers, body } = answer as Partial<Theirs>
  const isWhole = typeof status === 'number' && typeof headers === 'object' && Symbol.iterator in headers
  return isWhole && body !== undefined ? (answer as Theirs) : undefined
}

/** The head as it was on the wire. */
export function rawHeaders({ headers }: Theirs): RawHeaders {
  const raw: Record<string, string | string[] | undefined> = {}
  // Iterating, node-fetch joins what must not be joined.
  const entries = typeof headers.raw === 'function' ? Object.entries(headers.raw()) : headers
  for (const [given, value] of entries) {
    const name = given.toLowerCase()
    const before = raw[name]
    raw[name] = before === undefined ? value : [before, value ?? []].flat()
  }
  return raw
}

/** What the head says of a body that has been decoded since: not how long it is, only that it ends. */
export function framing(raw: RawHeaders): RawHeaders {
  if (raw['content-encoding'] === undefined) return raw
  return { ...raw, 'content-length': undefined, 'transfer-encoding': 'chunked' }
}
