/** One call: the short lane for what it covers exactly, undici's own fetch for the rest. The caller cannot tell which. */
import type { Dispatcher } from 'undici'
import type { Trace } from '../call-site.ts'
import { resolveCallTimeouts, resolveDecompress, type TimeoutOptions } from '../options.ts'
import type { HedgeOptions, Retry } from '../options/retry.ts'
import { type Base, resolveAddress } from './address.ts'
import { atHand, type Outgoing, readRequest } from './request.ts'
import type { OwnedResponse } from './response.ts'
import type { Dispatch } from './hop.ts'
import { type CallOptions, fetchShort } from './short.ts'
import { fetchLong } from './undici.ts'

/** `fetch`'s init, and what one call may have of its own. */
export type FetchInit = Omit<RequestInit, 'dispatcher' | 'body'> & {
  /** A function makes a new body for each attempt: the way to send a stream that may have to be sent again. */
  body?:
    RequestInit['body'] | (() => NonNullable<RequestInit['body']> | Promise<NonNullable<RequestInit['body']>>)
  /** Needed for a body that is a stream. */
  duplex?: 'half'
  /** Sends this call through an undici dispatcher of yours; the contract holds on it as well. */
  dispatcher?: Dispatcher
  /** Time limits of this call over those of its client; a number is the total, in milliseconds. */
  timeout?: number | TimeoutOptions
  /** Over the `retry` of the client: options are laid over its options, a number is its policy with so many attempts. */
  retry?: Retry
  /** Instead of the `hedge` of the client. */
  hedge?: HedgeOptions | false
  /** Over that of the client: false hands the body on as it came, with its content codings. */
  decompress?: boolean
}

/**
 * The type of `globalThis.fetch`, with our options in `init`. The caller owns the Response: read it, cancel it or forget it.
 * @throws TypeError `fetch failed` with the network's error as `cause`; the signal's own reason when aborted
 * @throws TimeoutError when a time limit is over; later, the body fails with it
 */
export interface Fetch {
  (input: string | URL | Request, init?: FetchInit): Promise<OwnedResponse>
  /** As libraries ask for it: with whatever types of `dispatcher` Node or the browser have. */
  (input: string | URL | Request, init?: RequestInit): Promise<OwnedResponse>
}

/** What a client adds to every call. */
export interface CallDefaults extends CallOptions {
  /** Base for relative URLs. */
  readonly origin: Base | undefined
}

/** Where a call goes: a dispatcher, and its `dispatch` found once, since it may be behind several proxies. */
export interface Route {
  readonly dispatcher: Dispatcher
  readonly dispatch: Dispatch
  /** A pool of the client's own making, with nothing on it but its own interceptor. */
  readonly isOwn: boolean
  /** It wants to see the body as it was given (MockAgent compares it). */
  readonly isMock: boolean
}

export function routeTo(dispatcher: Dispatcher, isOwn: boolean): Route {
  // Bound once: a composed dispatcher looks its `dispatch` up through a proxy for each interceptor.
  const dispatch = dispatcher.dispatch.bind(dispatcher)
  return {
    dispatcher,
    dispatch,
    isOwn,
    get isMock() {
      return (dispatcher as { isMockActive?: boolean }).isMockActive === true
    },
  }
}

/**
 * @param since when the call began, if this is not its first attempt (`performance.now()`)
 * @param trace where it was made, if it is traced
 */
export function fetchOn(
  route: Route,
  input: string | URL | Request,
  init: FetchInit | undefined,
  defaults: CallDefaults,
  since?: number,
  trace?: Trace,
): Promise<OwnedResponse> {
  let target = input
  let options: CallOptions = since === undefined ? defaults : { ...defaults, since }
  if (trace !== undefined) options = { ...options, trace }
  let outgoing: Outgoing | undefined
  try {
    target = atOrigin(input, defaults.origin)
    if (init?.timeout !== undefined)
      options = { ...options, timeouts: resolveCallTimeouts(init.timeout, defaults.timeouts) }
    if (init?.decompress !== undefined)
      options = { ...options, decompress: resolveDecompress(init.decompress) }
    outgoing = readRequest(target, init, defaults.headers)
  } catch (error) {
    return Promise.reject(error)
  }
  if (outgoing === undefined) return fetchLong(route.dispatcher, target, init, options)
  const { body } = outgoing
  if (body === null || body.source !== null) return fetchShort(route.dispatch, route.isOwn, outgoing, options)
  if (route.isMock) return fetchLong(route.dispatcher, target, init, options)
  return target instanceof Request && body.stream !== undefined
    ? fetchRequest(route, outgoing, body.stream, options)
    : fetchShort(route.dispatch, route.isOwn, outgoing, options)
}

async function fetchRequest(
  route: Route,
  outgoing: Outgoing,
  stream: ReadableStream<Uint8Array>,
  options: CallOptions,
): Promise<OwnedResponse> {
  const body = await atHand(stream)
  return fetchShort(route.dispatch, route.isOwn, { ...outgoing, body }, options)
}

/** A relative URL resolved against the client's origin; everything else, bad URLs included, is left to fetch. */
export function atOrigin(input: string | URL | Request, origin: Base | undefined): string | URL | Request {
  if (origin === undefined || typeof input !== 'string') return input
  return resolveAddress(input, origin)
}
