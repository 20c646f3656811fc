/** A request of either SDK generation to what a dispatcher sends. */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { redactUrl } from '../../events.ts'
import type { SignalLike } from './exchange.ts'

/** What this library reads of a request: of core-rest-pipeline's `PipelineRequest` or core-http-compat's `WebResourceLike`. */
export interface AzureRequest {
  readonly url: string
  readonly method: string
  readonly headers: object
  readonly body?: unknown
  readonly timeout: number
  readonly abortSignal?: SignalLike | undefined
  readonly streamResponseStatusCodes?: Set<number> | undefined
  readonly onUploadProgress?: ((progress: { loadedBytes: number }) => void) | undefined
  readonly onDownloadProgress?: ((progress: { loadedBytes: number }) => void) | undefined
  readonly allowInsecureConnection?: boolean | undefined
  readonly disableKeepAlive?: boolean | undefined
  readonly keepAlive?: boolean | undefined
  readonly agent?: object | undefined
  readonly tlsSettings?: object | undefined
  readonly proxySettings?: ProxySettings | undefined
  readonly requestOverrides?: Record<string, unknown> | undefined
}

/** @internal */
export interface ProxySettings {
  readonly host: string
  readonly port: number
  readonly username?: string | undefined
  readonly password?: string | undefined
}

interface CompatHeaders {
  get(name: string): string | undefined
  toJson(options: { preserveCase: boolean }): Record<string, string>
}
interface PipelineHeaders {
  get(name: string): string | undefined
  toJSON(options: { preserveCase: boolean }): Record<string, string>
}

/** storage-blob and storage-queue ask in the older shape. */
const isCompat = (headers: object): headers is CompatHeaders =>
  typeof (headers as Partial<CompatHeaders>).toJson === 'function'

/** A request as it is sent. */
export interface Outgoing {
  readonly options: Dispatcher.DispatchOptions
  readonly isCompat: boolean
  /** It has asked for a compressed answer, and so for a decoded one. */
  readonly decodes: boolean
}

/** What a connection does with them is undici's to say; these the dispatcher refuses, and Node's own client takes. */
const hopByHop = /^(transfer-encoding|keep-alive|expect)$/i

/** @throws Error for an http: address where only https: was allowed, as the SDK's own client does */
export function toOutgoing(request: AzureRequest, form?: Blob): Outgoing {
  const { headers, method } = request
  const url = new URL(request.url)
  const compat = isCompat(headers)
  if (url.protocol !== 'https:' && !compat && request.allowInsecureConnection !== true)
    throw new Error(`Cannot connect to ${redactUrl(request.url)} while allowInsecureConnection is false.`)
  const raw = compat
    ? headers.toJson({ preserveCase: true })
    : (headers as PipelineHeaders).toJSON({ preserveCase: true })
  for (const name of Object.keys(raw)) if (hopByHop.test(name)) delete raw[name]
  const accepted = (headers as PipelineHeaders).get('accept-encoding')
  const body = form === undefined ? toBody(request.body) : withType(form, raw)
  // The compat layer of the SDKs hands disableKeepAlive on as keepAlive, without turning it round.
  const closes = compat ? request.keepAlive === true : request.disableKeepAlive === true
  const options: Dispatcher.DispatchOptions = {
    origin: url.origin,
    path: url.pathname + url.search,
    method,
    headers: raw,
    body: body as Dispatcher.DispatchOptions['body'] & {},
    ...(closes ? { reset: true } : undefined),
  }
  const decodes = accepted !== undefined && /gzip|deflate/.test(accepted)
  return { options, isCompat: compat, decodes }
}

function toBody(given: unknown): unknown {
  const body: unknown = typeof given === 'function' ? (given as () => unknown)() : given
  if (!body) return null
  if (typeof body === 'string' || Buffer.isBuffer(body)) return body
  if (ArrayBuffer.isView(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  if (body instanceof ArrayBuffer || body instanceof SharedArrayBuffer) return Buffer.from(body)
  if (body instanceof Blob) return body.size === 0 ? null : body
  if (body instanceof ReadableStream) return Readable.fromWeb(body as never)
  if (isNodeStream(body)) return toStream(body)
  throw new Error('Unrecognized body type')
}

/** A form as it is sent; its type names the boundary. */
export const encoded = (form: FormData): Promise<Blob> => new Response(form).blob()

function withType(form: Blob, headers: Record<string, string>): Blob {
  for (const name of Object.keys(headers)) if (/^content-type$/i.test(name)) delete headers[name]
  headers['Content-Type'] = form.type
  return form
}

const isNodeStream = (value: unknown): value is NodeJS.ReadableStream =>
  typeof (value as NodeJS.ReadableStream | null)?.pipe === 'function'

/** A stream can be sent once; half of one, or nothing of it, would otherwise be taken for the whole. */
function toStream(stream: NodeJS.ReadableStream): NodeJS.ReadableStream {
  const { destroyed, readableEnded } = stream as Readable
  if (destroyed || readableEnded)
    throw new Error(
      'The body is a stream that has been read already: pass a function that makes one, to send it again',
    )
  return stream
}
