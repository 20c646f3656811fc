/** The Response of both lanes: a subclass of the global one, whose headers and body are made only when somebody asks for them. */
import { inspect, type InspectOptions } from 'node:util'
import { BodyGivenUpError } from '../errors.ts'
import type { ResponseBody } from './body.ts'
import { type Convert, toText } from './collect.ts'

export type RawHeaders = Readonly<Record<string, string | string[] | undefined>>

/** What is known when the response begins. */
export interface ResponseStart {
  readonly status: number
  readonly statusText: string
  readonly headers: RawHeaders | Headers
  /** Without its fragment. */
  readonly url: string
  readonly isRedirected: boolean
  readonly type: Response['type']
}

/**
 * The prototype of the global Response without its constructor, which would make headers, a body and more for nobody. TypeScript
 * declares the members of the global classes as fields, which nothing can override.
 */
const NativeResponse = function NativeResponse() {} as unknown as new () => object
NativeResponse.prototype = Response.prototype
Object.setPrototypeOf(NativeResponse, Response)
const NativeHeaders = Headers as unknown as new () => object

const immutable = (): never => {
  throw new TypeError('immutable')
}

/** Headers of a response that came from the network; nobody changes them. */
class ResponseHeaders extends NativeHeaders {
  constructor(raw: RawHeaders | Headers) {
    super()
    const add = (name: string, value: string): void => Headers.prototype.append.call(this, name, value)
    if (raw instanceof Headers || Symbol.iterator in raw) {
      for (const [name, value] of raw as Headers) add(name, value)
      return
    }
    for (const [name, value] of Object.entries(raw)) {
      if (typeof value === 'string') add(name, value)
      else for (const each of value ?? []) add(name, each)
    }
  }

  append(): never {
    return immutable()
  }
  set(): never {
    return immutable()
  }
  delete(): never {
    return immutable()
  }
}
Object.defineProperty(ResponseHeaders, 'name', { value: 'Headers' })

let bodyOf: (response: unknown) => ResponseBody | null | undefined
let startOf: (response: FetchResponse) => ResponseStart

class FetchResponse extends NativeResponse implements AsyncDisposable {
  readonly #start: ResponseStart
  readonly #body: ResponseBody | null
  #headers: Headers | undefined

  constructor(start: ResponseStart, body: ResponseBody | null) {
    super()
    this.#start = start
    this.#body = body
  }

  get status(): number {
    return startOf(this).status
  }
  get statusText(): string {
    return startOf(this).statusText
  }
  get ok(): boolean {
    const { status } = startOf(this)
    return status >= 200 && status <= 299
  }
  get url(): string {
    return startOf(this).url
  }
  get redirected(): boolean {
    return startOf(this).isRedirected
  }
  get type(): Response['type'] {
    return startOf(this).type
  }
  get headers(): Headers {
    startOf(this)
    return (this.#headers ??= new ResponseHeaders(this.#start.headers) as unknown as Headers)
  }

  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    startOf(this)
    return (this.#body?.stream ?? null) as ReadableStream<Uint8Array<ArrayBuffer>> | null
  }
  get bodyUsed(): boolean {
    startOf(this)
    return this.#body?.isUsed ?? false
  }

  text(): Promise<string> {
    return readOf(this, toText)
  }
  json(): Promise<unknown> {
    return readOf(this, toJson)
  }
  arrayBuffer(): Promise<ArrayBuffer> {
    return readOf(this, toBuffer)
  }
  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return readOf(this, ownBytes)
  }
  blob(): Promise<Blob> {
    // Node's own, for the type's sake: it is parsed and written out again (MIME Sniffing, 4).
    return readOf(this, (bytes) => this.#asNative(bytes).blob())
  }
  formData(): Promise<FormData> {
    return readOf(this, (bytes) => this.#asNative(bytes).formData())
  }
  /** The body as text, while it arrives (Fetch, 5.3). */
  textStream(): ReadableStream<string> {
    startOf(this)
    if (this.#body?.isUnusable) throw new TypeError('Body is unusable: Body has already been read')
    if (this.#body === null) return new ReadableStream({ start: (controller) => controller.close() })
    return (this.body as ReadableStream).pipeThrough(new TextDecoderStream('UTF-8'))
  }

  clone(): OwnedResponse {
    startOf(this)
    if (this.#body?.isUnusable) throw new TypeError('Response.clone: Body has already been consumed.')
    return newResponse(this.#start, this.#body?.clone() ?? null)
  }

  /** Gives the body up: the caller does not wait for the wire, and the connection is settled behind it. */
  [Symbol.asyncDispose](): Promise<void> {
    giveUp(this, new BodyGivenUpError())
    return Promise.resolve()
  }

  [inspect.custom](_depth: number | null, options: InspectOptions): string {
    const { status, statusText, headers, bodyUsed, ok, redirected, type, url } = this
    const body = this.#body === null ? null : this.#body.hasStream ? this.body : unread
    const shown = { status, statusText, headers, body, bodyUsed, ok, redirected, type, url }
    return `Response ${inspect(shown, { ...options, depth: options.depth ?? 2 })}`
  }

  #asNative(bytes: Buffer): Response {
    const type = this.headers.get('content-type')
    return new Response(ownBytes(bytes), type === null ? {} : { headers: { 'content-type': type } })
  }

  static {
    bodyOf = (response) =>
      typeof response === 'object' && response !== null && #body in response ? response.#body : undefined
    startOf = (response) => {
      if (#start in response) return response.#start
      throw illegal()
    }
  }
}

/** Of a member that was taken off its object, as by any class of the platform. */
function illegal(): TypeError {
  return Object.assign(new TypeError('Illegal invocation'), { code: 'ERR_INVALID_THIS' })
}

function readOf<T>(response: unknown, convert: Convert<T | Promise<T>>): Promise<T> {
  const body = bodyOf(response)
  if (body === undefined) return Promise.reject(illegal())
  if (body !== null) return body.read(convert) as Promise<T>
  return new Promise((resolve) => resolve(convert(Buffer.alloc(0), true)))
}

/** What is shown of a body whose stream nobody has asked for; to show it must not make it. */
const unread = {
  [inspect.custom]: () => "ReadableStream { locked: false, state: 'readable', supportsBYOB: true }",
}

/** What callers get: a Response that can be disposed of. */
export type OwnedResponse = Response & AsyncDisposable

export function newResponse(start: ResponseStart, body: ResponseBody | null): OwnedResponse {
  return new FetchResponse(start, body)
}

/** The body behind a Response of ours; undefined if it is not ours, null if it has none. */
export function responseBody(response: unknown): ResponseBody | null | undefined {
  return bodyOf(response)
}

export function giveUp(response: object, reason: Error): void {
  responseBody(response)?.giveUp(reason)
}

const toJson = (bytes: Buffer): unknown => JSON.parse(toText(bytes))
const toBuffer = (bytes: Buffer, isFresh: boolean): ArrayBuffer => ownBytes(bytes, isFresh).buffer

/** A copy, unless these bytes are alone in their buffer and nobody else has it. */
function ownBytes(bytes: Buffer, isFresh = false): Uint8Array<ArrayBuffer> {
  const { buffer, length } = bytes
  return isFresh && buffer.byteLength === length
    ? new Uint8Array(buffer as ArrayBuffer)
    : new Uint8Array(bytes)
}

Object.defineProperty(FetchResponse, 'name', { value: 'Response' })
/** As the class of the platform has them. */
const enumerable =
  'type url status ok redirected statusText headers clone body bodyUsed blob arrayBuffer text json formData bytes textStream'
for (const name of enumerable.split(' ')) {
  const own = Object.getOwnPropertyDescriptor(FetchResponse.prototype, name) as PropertyDescriptor
  Object.defineProperty(FetchResponse.prototype, name, { ...own, enumerable: true })
}
