/**
 * Node's own `Request` and `FormData` in the form undici's fetch takes: it refuses the one and would send the other as the text
 * `[object FormData]`.
 */
import {
  type fetch,
  FormData as UndiciFormData,
  Headers as UndiciHeaders,
  Request as UndiciRequest,
} from 'undici'

import type { FetchInit } from './fetch.ts'

export type UndiciInput = Parameters<typeof fetch>[0]
export type UndiciInit = NonNullable<Parameters<typeof fetch>[1]>

/** Input and init with foreign objects unpacked. A `Request` with a body is used up, as by any fetch. */
export async function withForeignParts(
  input: string | URL | Request,
  init: FetchInit | undefined,
): Promise<[UndiciInput, UndiciInit]> {
  const target = isForeignRequest(input) ? unpackRequest(input, init) : (input as UndiciInput)
  const own = known(init)
  if (!isForeignFormData(own.body)) return [target, own]
  const encoded = new globalThis.Response(own.body)
  const headers = new UndiciHeaders(own.headers)
  if (!headers.has('content-type')) headers.set('content-type', encoded.headers.get('content-type') ?? '')
  return [target, { ...own, headers: [...headers], body: await encoded.arrayBuffer() }]
}

/** The members of an init that fetch knows, inherited ones too: an init may be a Request. */
const members = [
  'method',
  'headers',
  'body',
  'referrer',
  'referrerPolicy',
  'mode',
  'credentials',
  'cache',
  'redirect',
  'integrity',
  'keepalive',
  'signal',
  'window',
  'duplex',
] as const

function known(init: FetchInit | undefined): UndiciInit {
  if (init === undefined || init === null) return {}
  // Refused by undici, in its own words.
  if (typeof init !== 'object') throw new UndiciRequest('http://localhost', init) as never
  const own: Record<string, unknown> = {}
  for (const name of members) {
    const value = (init as Record<string, unknown>)[name]
    if (value !== undefined) own[name] = value
  }
  return own
}

const isTagged = (value: unknown, tag: string): boolean =>
  Object.prototype.toString.call(value) === `[object ${tag}]`

function isForeignRequest(input: unknown): input is Request {
  return isTagged(input, 'Request') && !(input instanceof UndiciRequest)
}

function isForeignFormData(body: unknown): boolean {
  return isTagged(body, 'FormData') && !(body instanceof UndiciFormData)
}

function unpackRequest(request: Request, init: FetchInit | undefined): UndiciRequest {
  const hasBody = request.body !== null && init?.body === undefined
  return new UndiciRequest(request.url, {
    method: request.method,
    headers: [...request.headers],
    redirect: request.redirect,
    signal: request.signal,
    integrity: request.integrity,
    keepalive: request.keepalive,
    referrerPolicy: request.referrerPolicy,
    ...(hasBody ? { body: request.body as never, duplex: 'half' } : undefined),
  })
}
