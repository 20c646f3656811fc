/**
 * awsRequestHandler: the transport of the AWS SDK for JavaScript (v3) on a client's pool. It sends what was signed as it was signed, and
 * fails as the SDK's own handler does, so that the SDK's retries work.
 */
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Client } from '../client.ts'
import { cancel } from '../fetch/request.ts'
import { type AwsHandlerOptions, orNone, resolveAwsHandler } from '../options/aws.ts'
import type { QueueAware } from '../queued.ts'
import { abortError, type AbortSignalLike, asNodeError, onAbort, timeoutError } from './node-errors.ts'
import { joined } from './node-headers.ts'
import { NodeBody } from './node-body.ts'

export type { AwsHandlerOptions } from '../options/aws.ts'

/** A request as the SDK has signed it. */
export interface AwsRequest {
  readonly method: string
  /** With the colon. */
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
  readonly query?: Readonly<Record<string, string | string[] | null>>
  readonly headers: Readonly<Record<string, string>>
  readonly username?: string
  readonly password?: string
  /** Text, bytes, a Readable of Node's, a web stream or a Blob. */
  readonly body?: unknown
}

export interface AwsResponse {
  statusCode: number
  reason?: string
  headers: Record<string, string>
  /** What the SDK makes `transformToString()` and its like of. */
  body: Readable
}

export interface AwsCallOptions {
  abortSignal?: AbortSignalLike
  /** Milliseconds until the headers of the response, over that of the handler. */
  requestTimeout?: number
}

/** What `requestHandler` of an SDK client takes. */
export interface AwsRequestHandler {
  readonly metadata: { readonly handlerProtocol: string }
  /** @throws what node:http would throw, `TimeoutError` where the SDK retries, `AbortError` */
  handle(request: AwsRequest, options?: AwsCallOptions): Promise<{ response: AwsResponse }>
  updateHttpClientConfig(key: string | symbol, value: unknown): void
  httpHandlerConfigs(): AwsHandlerOptions
  /** Does nothing: the client stays open, and is yours to close. */
  destroy(): void
}

/** The SDK's own time limit of a service, for which it has no public name. */
const defaultSocketTimeout = Symbol.for('@smithy/defaultSocketTimeout')

/**
 * A request handler for any client of the AWS SDK: `new S3Client({ requestHandler: awsRequestHandler(client) })`. Bodies have the
 * client's contract; time limits are those here and the SDK's, and the client's `timeout.connect`.
 * @throws InvalidOptionError
 */
export function awsRequestHandler(client: Client, options?: AwsHandlerOptions): AwsRequestHandler {
  const { dispatcher } = client
  const dispatch = dispatcher.dispatch.bind(dispatcher)
  let config = resolveAwsHandler(options)
  let ofService: number | undefined

  return {
    // It decides how the SDK names the host. Over HTTP/2, undici makes `:authority` of it.
    metadata: { handlerProtocol: 'http/1.1' },
    handle(request, { abortSignal, requestTimeout = config.requestTimeout } = {}) {
      const opts = dispatchOptions(request, orNone(config.socketTimeout ?? ofService))
      return new Promise((resolve, reject) => {
        if (abortSignal?.aborted) return reject(abortError(abortSignal))
        const call = new Call(resolve, reject, abortSignal, request.body)
        call.limit(orNone(requestTimeout))
        try {
          dispatch(opts, call)
        } catch (error) {
          call.onResponseError(null, error as Error)
        }
      })
    },
    updateHttpClientConfig(key, value) {
      if (key === defaultSocketTimeout) ofService = value as number | undefined
      // The other symbol is that of a logger, and there is nothing to log.
      else if (typeof key === 'string') config = resolveAwsHandler({ ...config, [key]: value })
    },
    httpHandlerConfigs: () => ({ ...config }),
    destroy() {},
  }
}

/** Not for the other end: of this connection (RFC 9110, 7.6.1), or, as `expect`, refused by undici. None of them is ever signed. */
const unsent: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

function dispatchOptions(request: AwsRequest, idle: number): Dispatcher.DispatchOptions {
  const { method, protocol, hostname, port, path, query, username, password, body } = request
  const host = hostname.includes(':') && hostname[0] !== '[' ? `[${hostname}]` : hostname
  const headers: Record<string, string> = {}
  for (const name in request.headers) {
    if (!unsent.has(name.toLowerCase())) headers[name] = request.headers[name] as string
  }
  if ((username ?? password) != null && !('authorization' in headers)) {
    const pair = Buffer.from(`${username ?? ''}:${password ?? ''}`)
    headers['authorization'] = `Basic ${pair.toString('base64')}`
  }
  const search = query === undefined ? '' : queryString(query)
  return {
    origin: `${protocol}//${host}${port === undefined ? '' : `:${port}`}`,
    path: search === '' ? path : `${path}?${search}`,
    method,
    headers,
    body: (body === '' ? null : body) as Dispatcher.DispatchOptions['body'] & {},
    headersTimeout: idle,
    bodyTimeout: idle,
  }
}

const escape = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)

/** As it was signed: sorted by name, and everything escaped but what RFC 3986 calls unreserved. */
function queryString(query: NonNullable<AwsRequest['query']>): string {
  const parts: string[] = []
  for (const name of Object.keys(query).toSorted()) {
    const value = query[name]
    const key = escape(name)
    if (Array.isArray(value)) for (const each of value) parts.push(`${key}=${escape(each)}`)
    else parts.push(value == null ? key : `${key}=${escape(value)}`)
  }
  return parts.join('&')
}

/** As node:http and the SDK's handler have them. */
function responseHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string> {
  const result: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    const text = Array.isArray(value) ? (name === 'set-cookie' ? value.join() : joined(name, value)) : value
    if (text !== undefined) result[name] = text
  }
  return result
}

type Answer = (answer: { response: AwsResponse }) => void

/** One request and what ends it. Once it has answered it leads to no response, which could never be collected. */
class Call implements Dispatcher.DispatchHandler, QueueAware {
  #resolve: Answer | undefined
  #reject: ((error: Error) => void) | undefined
  #leaveSignal: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #controller: Dispatcher.DispatchController | undefined
  #body: NodeBody | undefined
  /** What is to be sent, until that begins. */
  #unsent: unknown
  /** Why it was ended from this side. */
  #reason: Error | undefined

  constructor(
    resolve: Answer,
    reject: (error: Error) => void,
    signal: AbortSignalLike | undefined,
    body: unknown,
  ) {
    this.#resolve = resolve
    this.#reject = reject
    this.#unsent = body
    if (signal !== undefined) this.#leaveSignal = onAbort(signal, () => this.#onAbort(signal))
  }

  limit(ms: number): void {
    if (ms > 0) this.#timer = setTimeout(() => this.#end(timeoutError(ms)), ms)
  }

  #onAbort(signal: AbortSignalLike): void {
    const error = abortError(signal)
    // Whoever reads the body of an IncomingMessage knows an abort by this.
    if (this.#body !== undefined) Object.assign(error, { code: 'ECONNRESET' })
    this.#end(error)
  }

  onRequestQueued(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#unsent = undefined
    if (this.#reason !== undefined) controller.abort(this.#reason)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
    reason = '',
  ): void {
    if (statusCode < 200 || this.#reason !== undefined) return
    clearTimeout(this.#timer)
    this.#body = new NodeBody(controller, () => this.#leaveSignal?.())
    const body = this.#body.open()
    this.#resolve?.({ response: { statusCode, reason, headers: responseHeaders(headers), body } })
    this.#resolve = this.#reject = undefined
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    this.#body?.push(chunk)
  }

  onResponseEnd(): void {
    this.#body?.end()
  }

  onResponseError(_: unknown, error: Error): void {
    const told = asNodeError(error)
    if (this.#body === undefined) this.#fail(told)
    else this.#body.fail(told)
  }

  #end(error: Error): void {
    this.#reason = error
    if (this.#body !== undefined) return this.#body.abort(error)
    this.#fail(error)
    this.#controller?.abort(error)
  }

  #fail(error: Error): void {
    clearTimeout(this.#timer)
    this.#leaveSignal?.()
    cancel(this.#unsent, error)
    this.#unsent = undefined
    this.#reject?.(error)
    this.#resolve = this.#reject = undefined
  }
}
