/** The short lane: one call straight on `dispatch`, over as many hops as it is redirected; what ends it, and how. */
import { channel } from 'node:diagnostics_channel'
import type { Trace } from '../call-site.ts'
import type { BusyPool, Phase } from '../errors.ts'
import type { Timeouts } from '../options.ts'
import type { Address } from './address.ts'
import { Deadline } from './deadline.ts'
import { Hop, type Dispatch, type HopCall } from './hop.ts'
import type { Outgoing } from './request.ts'
import type { OwnedResponse } from './response.ts'
import { Timing } from './timing.ts'

/** What a client adds to a call, on either lane. */
export interface CallOptions {
  /** Sent unless the call sets them. */
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly timeouts: Timeouts | undefined
  /** When the call began, if this is not its first attempt (`performance.now()`). */
  readonly since: number | undefined
  /** Bytes of a body that may be read whole, decoded. */
  readonly maxResponseSize: number
  /** Who holds the connections to an origin, for whoever waited for one in vain. */
  readonly busy: (origin: string) => BusyPool | undefined
  /** Content codings are undone. */
  readonly decompress: boolean
  /** Where the call was made, of the calls that are traced. */
  readonly trace: Trace | undefined
}

/** undici shows chunks to whoever listens here. */
const received = channel('undici:request:bodyChunkReceived')

/** @param isOwn nothing that might keep a chunk of the body is between `dispatch` and the socket */
export function fetchShort(
  dispatch: Dispatch,
  isOwn: boolean,
  request: Outgoing,
  options: CallOptions,
): Promise<OwnedResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<OwnedResponse>()
  new Call(dispatch, isOwn, request, options, resolve, reject).start()
  return promise
}

/** What all hops of a call share. It may outlive its Response, and never leads to it. */
class Call implements HopCall {
  readonly options: CallOptions
  readonly timing: Timing = new Timing()
  readonly deadline: Deadline | undefined
  readonly #dispatch: Dispatch
  readonly #firstUrl: Address
  readonly #signal: AbortSignal | null
  #hop: Hop
  /** Until they are called: afterwards they would lead to the Response, which could never be collected. */
  #resolve: ((response: OwnedResponse) => void) | undefined
  #reject: ((reason: unknown) => void) | undefined
  readonly ownsChunks: boolean
  hops = 0
  isCrossOrigin = false
  /** The server has said that this connection is not for this request (421); it is asked once more. */
  wasMisdirected = false
  #status = 0

  constructor(
    dispatch: Dispatch,
    isOwn: boolean,
    request: Outgoing,
    options: CallOptions,
    resolve: (response: OwnedResponse) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#dispatch = dispatch
    this.ownsChunks = isOwn && !received.hasSubscribers
    this.#firstUrl = request.url
    this.#signal = request.signal
    this.#resolve = resolve
    this.#reject = reject
    this.options = options
    if (options.timeouts !== undefined) this.deadline = new Deadline(options.timeouts, this, options.since)
    this.#hop = new Hop(this, request)
  }

  start(): void {
    const signal = this.#signal
    if (signal?.aborted) return this.end(signal.reason)
    // The call itself is the listener: most have no signal, and a function for each would cost them all.
    signal?.addEventListener('abort', this)
    this.#hop.send(this.#dispatch)
  }

  /** The next hop: once the packet is read to its end, since it often holds the end of this body too, and frees the connection. */
  goOn(request: Outgoing): void {
    if (request.url.place.origin !== this.#firstUrl.place.origin) this.isCrossOrigin = true
    this.#hop = new Hop(this, request)
    queueMicrotask(() => {
      if (this.#resolve !== undefined) this.#hop.send(this.#dispatch)
    })
  }

  answer(response: OwnedResponse, status: number): void {
    this.#status = status
    this.deadline?.answered()
    this.#resolve?.(response)
    this.#resolve = this.#reject = undefined
  }

  /** Nothing more comes of this call: its limits and its signal have nothing left to end. */
  settle(): void {
    this.deadline?.end()
    this.#signal?.removeEventListener('abort', this)
    if (this.#status !== 0) this.timing.end(this.#firstUrl.href, this.#status)
  }

  /** Fails: the promise if there is no response yet, else the body. */
  end(reason: unknown): void {
    const reject = this.#reject
    this.#resolve = this.#reject = undefined
    if (reject !== undefined) {
      this.settle()
      reject(reason)
    }
    this.#hop.giveUp(reason)
  }

  /** Of the signal: it is aborted. */
  handleEvent(): void {
    this.end((this.#signal as AbortSignal).reason)
  }

  onLate(phase: Phase, limit: number): void {
    this.end(this.#hop.timeout(phase, limit))
  }
}
