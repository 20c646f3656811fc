/**
 * One call through somebody else's fetch: its answer becomes our Response, over a body that is received ahead, reclaimed and given up
 * like any other. Redirects and connections are that fetch's own.
 */
import type { Dispatcher } from 'undici'
import { BodyGivenUpError, type Phase, TimeoutError } from '../errors.ts'
import { redactUrl } from '../events.ts'
import { type FetchLike, refuseUnseen } from '../options.ts'
import { ResponseBody } from './body.ts'
import { Deadline } from './deadline.ts'
import { atOrigin, type CallDefaults, type FetchInit, timeoutsOf } from './fetch.ts'
import { members } from './globals.ts'
import type { Dispatch } from './hop.ts'
import { Incoming, type Owner } from './incoming.ts'
import { newResponse, type OwnedResponse, type RawHeaders, type ResponseStart } from './response.ts'
import type { CallOptions } from './short.ts'

type Controller = Dispatcher.DispatchController
type Input = string | URL | Request

/** The call that is to be made. */
interface Asked {
  readonly input: Input
  readonly init: FetchInit | undefined
  readonly url: string
  readonly method: string
  readonly signal: AbortSignal | null
}

/** What is told of a Response of theirs; the wire reads the same. */
interface Answer {
  readonly status: number
  readonly statusText: string
  readonly headers: RawHeaders
  readonly body: object | null
  readonly owner: object
}

interface Theirs {
  readonly status: number
  readonly statusText?: string
  readonly headers: Iterable<readonly [string, string]> & { raw?: () => RawHeaders }
  readonly body: object | null
  readonly url?: string
  readonly redirected?: boolean
  readonly type?: Response['type']
}

/** @param fetch is called with what the caller gave, and with nothing added that no option asks for */
export function fetchForeign(
  dispatch: Dispatch,
  fetch: FetchLike,
  input: Input,
  init: FetchInit | undefined,
  defaults: CallDefaults,
): Promise<OwnedResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<OwnedResponse>()
  try {
    const asked = ask(input, init, defaults)
    const timeouts =
      init?.timeout === undefined ? defaults.timeouts : timeoutsOf(init.timeout, defaults.timeouts)
    if (asked.signal?.aborted) throw asked.signal.reason
    new ForeignCall(asked, { ...defaults, timeouts }, resolve, reject).start(dispatch, fetch)
  } catch (error) {
    reject(error)
  }
  return promise
}

/** Of any copy of the class. */
const isRequest = (input: Input): input is Request => typeof input === 'object' && 'url' in input

function ask(input: Input, init: FetchInit | undefined, defaults: CallDefaults): Asked {
  const target = atOrigin(input, defaults.origin)
  const request = isRequest(target) ? target : undefined
  const asked = {
    input: target,
    url: isRequest(target) ? target.url : String(target),
    method: (init?.method ?? request?.method ?? 'GET').toUpperCase(),
    signal: init?.signal ?? request?.signal ?? null,
  }
  if (init?.timeout === undefined && defaults.headers === undefined) return { ...asked, init }
  const { timeout, ...own } = spread(init)
  if (typeof timeout === 'object') refuseUnseen(timeout, 'init.timeout')
  if (defaults.headers === undefined) return { ...asked, init: own }
  const headers = new Headers(own.headers ?? request?.headers)
  for (const [name, value] of Object.entries(defaults.headers))
    if (!headers.has(name)) headers.set(name, value)
  // Plain: every fetch takes it, whatever its classes.
  return { ...asked, init: { ...own, headers: Object.fromEntries(headers) } }
}

/** A copy that may be changed; of an init that is a Request, too, whose members are inherited. */
function spread(init: FetchInit = {}): FetchInit {
  const prototype: unknown = Object.getPrototypeOf(init)
  if (prototype === null || prototype === Object.prototype) return { ...init }
  const given = init as Record<string, unknown>
  const own = members.map((name) => [name, given[name]] as const).filter(([, value]) => value !== undefined)
  return { ...init, ...(Object.fromEntries(own) as FetchInit) }
}

/** Undefined for what has nothing to read: half a Response, as simple mocks make it. */
function asResponse(answer: unknown): Theirs | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined
  const { status, headers, body } = answer as Partial<Theirs>
  const isWhole = typeof status === 'number' && typeof headers === 'object' && Symbol.iterator in headers
  return isWhole && body !== undefined ? (answer as Theirs) : undefined
}

/** The head as it was on the wire. */
function rawHeaders({ headers }: Theirs): RawHeaders {
  // node-fetch joins what must not be joined.
  if (typeof headers.raw === 'function') return headers.raw()
  const raw: Record<string, string | string[]> = {}
  for (const [name, value] of headers) {
    const before = raw[name]
    raw[name] = before === undefined ? value : [before, value].flat()
  }
  return raw
}

/** What the head says of a body that has been decoded since: not how long it is, only that it ends. */
function framing(raw: RawHeaders): RawHeaders {
  if (raw['content-encoding'] === undefined) return raw
  return { ...raw, 'content-length': undefined, 'transfer-encoding': 'chunked' }
}

/** The handler on the wire, and the owner of the body. It may outlive its Response, and never leads to it. */
class ForeignCall implements Dispatcher.DispatchHandler, Owner {
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
  #isAwaited = false

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
    if (options.timeouts !== undefined) this.#deadline = new Deadline(options.timeouts, this)
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
    const complete = this.#late === undefined ? init : { ...spread(init), signal: this.#late.signal }
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
    const source = { kind: 'incoming', incoming, arrived: [] } as const
    const response = newResponse(start, new ResponseBody(source, [], this.#options.maxResponseSize))
    incoming.watch(response)
    this.#answer(response)
  }

  onResponseData(_: Controller, chunk: Buffer): void {
    if (this.#isAwaited) this.#deadline?.enter('body')
    this.#body?.onData(chunk)
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
    this.#isAwaited = isWaiting
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
