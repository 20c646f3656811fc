/**
 * One call through somebody else's fetch: its answer becomes our Response, over a body that is received ahead, reclaimed and given up
 * like any other. Redirects and connections are that fetch's own.
 */
import type { Dispatcher } from 'undici'
import type { Trace, Traced } from '../call-site.ts'
import { BodyGivenUpError, type Phase, TimeoutError } from '../errors.ts'
import { redactUrl } from '../events.ts'
import { type FetchLike, resolveCallTimeouts } from '../options.ts'
import type { ArrivalAware } from '../queued.ts'
import { ResponseBody } from './body.ts'
import { Deadline } from './deadline.ts'
import type { CallDefaults, FetchInit } from './fetch.ts'
import type { Dispatch } from './hop.ts'
import { Incoming, type Owner } from './incoming.ts'
import { spread } from './init.ts'
import { newResponse, type OwnedResponse, type ResponseStart } from './response.ts'
import type { CallOptions } from './short.ts'
import { type Answer, ask, type Asked, asResponse, framing, type Input, rawHeaders } from './theirs.ts'

type Controller = Dispatcher.DispatchController
/**
 * @param fetch is called with what the caller gave, and with nothing added that no option asks for
 * @param since when the call began, if this is not its first attempt (`performance.now()`)
 * @param trace where it was made, if it is traced
 */
export function fetchForeign(
  dispatch: Dispatch,
  fetch: FetchLike,
  input: Input,
  init: FetchInit | undefined,
  defaults: CallDefaults,
  since?: number,
  trace?: Trace,
): Promise<OwnedResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<OwnedResponse>()
  try {
    const asked = ask(input, init, defaults)
    const timeouts =
      init?.timeout === undefined ? defaults.timeouts : resolveCallTimeouts(init.timeout, defaults.timeouts)
    if (asked.signal?.aborted) throw asked.signal.reason
    const options = {
      ...defaults,
      timeouts,
      ...(since === undefined ? undefined : { since }),
      ...(trace === undefined ? undefined : { trace }),
    }
    new ForeignCall(asked, options, resolve, reject).start(dispatch, fetch)
  } catch (error) {
    reject(error)
  }
  return promise
}

/** The handler on the wire, and the owner of the body. It may outlive its Response, and never leads to it. */
class ForeignCall implements Dispatcher.DispatchHandler, ArrivalAware, Traced, Owner {
  readonly #asked: Asked
  readonly #options: CallOptions
  readonly #deadline: Deadline | undefined
  /** Ends the call before its answer. The caller's own signal would end the body, too, and its connection with it. */
  readonly #late: AbortController | undefined
  /** Until they are called: afterwards they would lead to the Response, which could never be collected. */
  #resolve: ((response: OwnedResponse) => void) | undefined
  #reject: ((reason: unknown) => void) | undefined
  #start: (ResponseStart & { readonly hasBody: boolean }) | undefined
  #body: Incoming | undefined

  constructor(
    asked: Asked,
    options: CallOptions,
    resolve: (response: OwnedResponse) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#asked = asked
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    if (options.timeouts !== undefined) this.#deadline = new Deadline(options.timeouts, this, options.since)
    if (options.timeouts !== undefined || asked.signal !== null) this.#late = new AbortController()
  }

  start(dispatch: Dispatch, fetch: FetchLike): void {
    const { url, method, signal } = this.#asked
    const parsed = URL.parse(url)
    signal?.addEventListener('abort', this)
    this.#deadline?.enter('headers')
    const opts = {
      origin: parsed?.origin ?? '',
      path: parsed === null ? url : parsed.pathname + parsed.search,
      method,
      respond: () => this.#respond(fetch),
      until: this.#late?.signal,
    }
    dispatch(opts, this)
  }

  async #respond(fetch: FetchLike): Promise<Answer | undefined> {
    const { input, init } = this.#asked
    const complete = this.#late === undefined ? init : { ...spread(init ?? {}), signal: this.#late.signal }
    const call = fetch as (input: Input, init?: FetchInit) => PromiseLike<object>
    let answer
    try {
      answer = await (complete === undefined ? call(input) : call(input, complete))
    } catch (error) {
      // As it is: the caller knows the errors of this fetch.
      this.#end(error)
      throw error
    }
    const theirs = asResponse(answer)
    if (theirs === undefined) {
      this.#answer(answer as OwnedResponse)
      this.onSettled()
      return undefined
    }
    const { status, statusText = '', body, url = '', redirected = false, type = 'default' } = theirs
    const raw = rawHeaders(theirs)
    const head = { status, statusText, headers: raw, url, isRedirected: redirected, type }
    this.#start = { ...head, hasBody: body !== null }
    return { status, statusText, headers: framing(raw), body, owner: theirs }
  }

  // ---- from the wire

  get trace(): Trace | undefined {
    return this.#options.trace
  }

  onRequestStart(): void {}

  onResponseStart(controller: Controller): void {
    const start = this.#start
    if (start === undefined) return
    this.#start = undefined
    this.#deadline?.enter(undefined)
    if (this.#reject === undefined) return controller.abort(new BodyGivenUpError())
    if (!start.hasBody) {
      this.#answer(newResponse(start, null))
      this.onSettled()
      return
    }
    const incoming = (this.#body = new Incoming(controller, this, false))
    const source = { kind: 'incoming', incoming } as const
    const response = newResponse(start, new ResponseBody(source, [], this.#options.maxResponseSize))
    incoming.watch(response)
    this.#answer(response)
  }

  onResponseData(_: Controller, chunk: Buffer): void {
    this.#deadline?.progress()
    this.#body?.onData(chunk)
  }

  onResponseArrived(): void {
    this.#body?.onArrived()
  }

  onResponseEnd(): void {
    this.#body?.onEnd()
  }

  onResponseError(_: Controller | null, error: Error): void {
    if (this.#body === undefined) this.#end(new TypeError('fetch failed', { cause: error }))
    else this.#body.fail(error instanceof TypeError ? error : new TypeError('terminated', { cause: error }))
  }

  // ---- from the body

  onDemand(isWaiting: boolean): void {
    this.#deadline?.enter(isWaiting ? 'body' : undefined)
  }

  onArrived(): void {
    this.#deadline?.end()
  }

  get canStillFail(): boolean {
    return this.#asked.signal !== null
  }

  onSettled(): void {
    this.#deadline?.end()
    this.#asked.signal?.removeEventListener('abort', this)
  }

  // ---- what ends it

  /** Of the caller's signal. */
  handleEvent(): void {
    this.#end(this.#asked.signal?.reason)
  }

  onLate(phase: Phase, limit: number): void {
    this.#end(new TimeoutError(phase, limit, this.#asked.method, redactUrl(this.#asked.url)))
  }

  #answer(response: OwnedResponse): void {
    this.#deadline?.answered()
    this.#resolve?.(response)
    this.#resolve = this.#reject = undefined
  }

  /** Fails: the promise if there is no response yet, else the body. */
  #end(reason: unknown): void {
    const reject = this.#reject
    if (reject === undefined) return this.#body?.giveUp(reason)
    this.#resolve = this.#reject = undefined
    this.onSettled()
    reject(reason)
    this.#late?.abort(reason)
  }
}
