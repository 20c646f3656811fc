/**
 * One request of a call and its response: the handler on the wire, and the owner of the body. A redirect makes the next one; the last
 * answers.
 */
import type { Dispatcher } from 'undici'
import type { Trace, Traced } from '../call-site.ts'
import { BodyGivenUpError, type BusyPool, type Phase, TimeoutError } from '../errors.ts'
import { redactUrl } from '../events.ts'
import type { Timeouts } from '../options.ts'
import type { ArrivalAware, QueueAware } from '../queued.ts'
import { withoutFragment } from './address.ts'
import { ResponseBody } from './body.ts'
import { type Deadline, liftLimits } from './deadline.ts'
import { type Coding, readCodings } from './decode.ts'
import { toWire } from './headers.ts'
import { Incoming, type Owner } from './incoming.ts'
import { isRedirect, nextHop } from './redirect.ts'
import type { Outgoing } from './request.ts'
import { newResponse, type OwnedResponse, type RawHeaders } from './response.ts'
import type { Timing } from './timing.ts'

type Controller = Dispatcher.DispatchController
export type Dispatch = Dispatcher['dispatch']

/** What all hops of a call share. It may outlive its Response, and never leads to it. */
export interface HopCall {
  readonly options: {
    readonly timeouts: Timeouts | undefined
    readonly maxResponseSize: number
    readonly busy: (origin: string) => BusyPool | undefined
    readonly decompress: boolean
    readonly trace: Trace | undefined
  }
  readonly timing: Timing
  readonly deadline: Deadline | undefined
  /** What arrives is referred to by nobody else. */
  readonly ownsChunks: boolean
  hops: number
  readonly isCrossOrigin: boolean
  /** The server has said that this connection is not for this request (421); it is asked once more. */
  wasMisdirected: boolean
  goOn(request: Outgoing): void
  answer(response: OwnedResponse, status: number): void
  settle(): void
  end(reason: unknown): void
}

const join = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(', ') : value

/** Where fetch hands out no body; after a 205 there may still be one on the wire. */
const isNullBody = (method: string, status: number): boolean =>
  method === 'HEAD' || status === 204 || status === 205 || status === 304

export class Hop implements Dispatcher.DispatchHandler, QueueAware, ArrivalAware, Traced, Owner {
  readonly #call: HopCall
  #request: Outgoing
  #controller: Controller | undefined
  /** It is about to be written. */
  #isStarted = false
  #body: Incoming | undefined
  /** Given up, or answered by the next hop: what still comes is nobody's. */
  #isOver = false
  /** Why it ended before it began. */
  #reason: Error | undefined

  constructor(call: HopCall, request: Outgoing) {
    this.#call = call
    this.#request = request
  }

  send(dispatch: Dispatch): void {
    const { url, method, headers, body } = this.#request
    const { timeouts } = this.#call.options
    const { href, place } = url
    const { origin } = place
    const isEmptyUpload = body === null && (method === 'POST' || method === 'PUT')
    const opts: Dispatcher.DispatchOptions = {
      origin,
      // From the address itself: `pathname` and `search` would lose a question mark with nothing behind it.
      path: withoutFragment(href).slice(origin.length),
      method,
      headers: toWire(headers, place, isEmptyUpload ? 0 : (body?.length ?? null)),
      body: (body?.send() ?? null) as Dispatcher.DispatchOptions['body'] & {},
    }
    if (timeouts !== undefined) liftLimits(opts, timeouts)
    this.#call.deadline?.enter('queue')
    try {
      dispatch(opts, this)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  timeout(phase: Phase, limit: number, cause?: Error): TimeoutError {
    const { method, url } = this.#request
    const pool = phase === 'queue' ? this.#call.options.busy(url.place.origin) : undefined
    const options = cause === undefined ? { pool } : { pool, cause }
    return new TimeoutError(phase, limit, method, redactUrl(url.href), options)
  }

  /** Before the response the request ends, and with it its connection; after it, the wire settles the rest behind the caller. */
  giveUp(reason: unknown): void {
    if (this.#body !== undefined) return this.#body.giveUp(reason)
    this.#isOver = true
    this.#reason = reason instanceof Error ? reason : new BodyGivenUpError()
    this.#controller?.abort(this.#reason)
    if (!this.#isStarted) this.#request.body?.cancel?.(reason)
  }

  // ---- from the wire

  get trace(): Trace | undefined {
    return this.#call.options.trace
  }

  onRequestQueued(controller: Controller): void {
    this.#controller = controller
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    this.#isStarted = true
    if (this.#reason !== undefined) return controller.abort(this.#reason)
    const { timing, deadline } = this.#call
    timing.requested()
    // A body has all the time it needs to be sent.
    deadline?.enter(this.#request.body === null ? 'headers' : undefined)
  }

  onRequestSent(): void {
    if (this.#body === undefined && !this.#isOver) this.#call.deadline?.enter('headers')
  }

  onResponseStarted(): void {
    this.#call.timing.answered()
  }

  onResponseStart(controller: Controller, status: number, headers: RawHeaders, statusText = ''): void {
    if (status < 200 || this.#isOver) return
    this.#controller = controller
    this.#call.deadline?.enter(undefined)
    try {
      const codings = this.#codings(status, headers)
      const next = this.#next(status, headers)
      if (next === undefined) return this.#answer(status, statusText, headers, codings)
      this.giveUp(new BodyGivenUpError())
      this.#call.goOn(next)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    // There should be none (a 205 with a body): it is not waited for.
    if (this.#body === undefined) return controller.abort(new BodyGivenUpError())
    this.#call.timing.encodedBodySize += chunk.length
    this.#call.deadline?.progress()
    this.#body.onData(chunk)
  }

  onResponseArrived(): void {
    this.#body?.onArrived()
  }

  onResponseEnd(): void {
    this.#isOver = true
    this.#body?.onEnd()
  }

  onResponseError(_: Controller | null, error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#body === undefined) this.#fail(error)
    else this.#body.fail(new TypeError('terminated', { cause: error }))
  }

  // ---- from the body

  onDemand(isWaiting: boolean): void {
    this.#call.deadline?.enter(isWaiting ? 'body' : undefined)
  }

  onArrived(): void {
    this.#call.deadline?.end()
  }

  get canStillFail(): boolean {
    return this.#request.signal !== null
  }

  onSettled(): void {
    this.#call.settle()
  }

  /** What this response asks to send next, if anything. */
  #next(status: number, headers: RawHeaders): Outgoing | undefined {
    const call = this.#call
    const { redirect, body } = this.#request
    if (status === 407) throw new Error()
    if (status === 421 && !call.wasMisdirected && body?.source !== null) {
      call.wasMisdirected = true
      return this.#request
    }
    if (!isRedirect(status) || redirect === 'manual') return undefined
    if (redirect === 'error') throw new Error('unexpected redirect')
    const location = join(headers['location'])
    if (location === undefined) return undefined
    const next = nextHop(this.#request, status, location, call.hops++)
    call.timing.redirected()
    return next
  }

  /** Of a body that will be read, if anybody does. */
  #codings(status: number, headers: RawHeaders): readonly Coding[] {
    const coding = join(headers['content-encoding'])
    if (coding === undefined || !this.#call.options.decompress || isNullBody(this.#request.method, status))
      return none
    const isFollowed = this.#request.redirect === 'follow' && isRedirect(status) && headers['location']
    return isFollowed ? none : readCodings(coding)
  }

  #answer(status: number, statusText: string, headers: RawHeaders, codings: readonly Coding[]): void {
    const { method, url } = this.#request
    // What was sent may be large, and the answer may be read for long.
    if (this.#request.body !== null) this.#request = { ...this.#request, body: null }
    const call = this.#call
    const start = {
      status,
      statusText,
      headers,
      url: withoutFragment(url.href),
      isRedirected: call.hops > 0,
      type: call.isCrossOrigin ? 'cors' : 'basic',
    } as const
    if (isNullBody(method, status)) {
      call.answer(newResponse(start, null), status)
      call.settle()
      return
    }
    const incoming = (this.#body = new Incoming(this.#controller as Controller, this, call.ownsChunks))
    const source = { kind: 'incoming', incoming } as const
    const response = newResponse(start, new ResponseBody(source, codings, call.options.maxResponseSize))
    incoming.watch(response)
    call.answer(response, status)
  }

  #fail(error: Error): void {
    const limit = this.#call.options.timeouts?.connect ?? Infinity
    const isConnect =
      limit !== Infinity && (error as NodeJS.ErrnoException).code === 'UND_ERR_CONNECT_TIMEOUT'
    const reason = isConnect
      ? this.timeout('connect', limit, error)
      : new TypeError('fetch failed', { cause: error })
    // What has failed at once can still be aborted in the same turn, and then fails with that reason, as undici's does.
    queueMicrotask(() => this.#call.end(reason))
  }
}

const none: readonly never[] = []
