/** The next hop of a redirect (Fetch, 4.4): pure, from one request and what was answered to the next request, or a network error. */
import { type Address, addressOf } from './address.ts'
import type { HeaderList } from './headers.ts'
import type { Outgoing } from './request.ts'

/** Redirects one call follows. */
const mostRedirects = 20

export const isRedirect = (status: number): boolean =>
  status === 301 || status === 302 || status === 303 || status === 307 || status === 308

/** The address `location` names, seen from `url`; null if it names none. */
function resolve(location: string, { href }: Address): URL {
  // Headers come as latin1; what is not ASCII in it was meant as UTF-8.
  const text = /^[\x20-\x7e]*$/.test(location) ? location : Buffer.from(location, 'latin1').toString('utf8')
  const next = new URL(text, href)
  if (next.hash === '') next.hash = new URL(href).hash
  return next
}

/**
 * @param hops redirects followed so far
 * @throws what the network error of this call has as its cause
 */
export function nextHop(request: Outgoing, status: number, location: string, hops: number): Outgoing {
  const next = resolve(location, request.url)
  if (next.protocol !== 'http:' && next.protocol !== 'https:')
    throw new Error('URL scheme must be a HTTP(S) scheme')
  if (hops === mostRedirects) throw new Error('redirect count exceeded')
  if (next.username !== '' || next.password !== '')
    throw new Error('cross origin not allowed for request mode "cors"')
  if (status !== 303 && request.body !== null && request.body.source === null) throw new Error()
  const url = addressOf(next)
  if (url === undefined) throw new Error('bad port')

  const headers: HeaderList = new Map(request.headers)
  let { method, body } = request
  const becomesGet =
    ((status === 301 || status === 302) && method === 'POST') ||
    (status === 303 && method !== 'GET' && method !== 'HEAD')
  if (becomesGet) {
    method = 'GET'
    body = null
    for (const name of bodyHeaders) headers.delete(name)
  }
  if (url.place.origin !== request.url.place.origin) for (const name of originHeaders) headers.delete(name)
  return { ...request, url, method, headers, body }
}

const bodyHeaders = [
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
  'content-length',
]
/** Meant for the first origin only. */
const originHeaders = ['authorization', 'proxy-authorization', 'cookie', 'host']
