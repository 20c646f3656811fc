/**
 * Node's own `Request` and `FormData` in the form undici's fetch takes: it refuses the one and would send the other as the text
 * `[object FormData]`.
 */
import { type fetch, FormData as UndiciFormData, Request as UndiciRequest } from 'undici'
import { isRequest, isTagged } from './classes.ts'
import type { FetchInit } from './fetch.ts'
import { members } from './init.ts'
import { atHand } from './request.ts'
import { signalOf } from './signals.ts'

export type UndiciInput = Parameters<typeof fetch>[0]
export type UndiciInit = NonNullable<Parameters<typeof fetch>[1]>

/** Input and init with foreign objects unpacked. A `Request` with a body is used up, as by any fetch. */
export async function withForeignParts(
  input: string | URL | Request,
  init: FetchInit | undefined,
): Promise<[UndiciInput, UndiciInit]> {
  const own = known(init)
  if (isForeignFormData(own.body)) own.body = unpackForm(own.body)
  if (isRequest(input) && !(input instanceof UndiciRequest)) return [await unpackRequest(input, own), own]
  // An init, and be it empty but for the dispatcher, takes these away from a Request.
  if (input instanceof UndiciRequest && Object.keys(own).length === 0) {
    const { referrer, referrerPolicy } = input
    return [input, { referrer, referrerPolicy }]
  }
  return [input, own]
}

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

function isForeignFormData(body: unknown): body is FormData {
  return isTagged(body, 'FormData') && !(body instanceof UndiciFormData)
}

/** @throws TypeError for a form of the package form-data, which undici would send as `[object FormData]` */
function unpackForm(form: FormData): UndiciFormData {
  if (!(Symbol.iterator in form))
    throw new TypeError(
      'A form of the package form-data is not for fetch: use the global FormData, or send form.getBuffer() with form.getHeaders()',
    )
  const own = new UndiciFormData()
  for (const [name, value] of form) {
    if (typeof value === 'string') own.append(name, value)
    else own.append(name, value, value.name)
  }
  return own
}

async function unpackRequest(request: Request, init: UndiciInit): Promise<UndiciRequest> {
  const { url, method, redirect, integrity, keepalive, cache, mode, credentials } = request
  const { referrer, referrerPolicy } = request
  const body = request.body != null && init.body == null ? await atHand(request.body) : null
  return new UndiciRequest(url, {
    method,
    headers: [...request.headers],
    redirect,
    signal: signalOf(request),
    integrity,
    keepalive,
    cache,
    mode,
    credentials,
    referrer,
    referrerPolicy,
    ...(body && { body: (body.source ?? body.send()) as never, duplex: 'half' }),
  })
}
