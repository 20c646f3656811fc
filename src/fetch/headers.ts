/** Request headers as undici's fetch keeps and sends them: checked here only as far as needed to leave every odd one to undici. */

import type { Place } from './address.ts'

/** Lower-case name to the name as first given and its value; repeated ones are joined (Fetch, 2.2.2). */
export type HeaderList = Map<string, { readonly name: string; readonly value: string }>

/** RFC 9110, 5.6.2. */
const token = /^[\w!#$%&'*+.^`|~-]+$/
/** What undici puts on the wire; anything else it refuses, in words of its own. */
const sendable = /^[\t\x20-\x7e\x80-\xff]*$/
/** Fetch sets the one itself, in the place of the given one; the other is no name of an object's own. */
const unusual = /^(sec-fetch-mode|__proto__)$/i
const edges = /^[\t\n\r ]+|[\t\n\r ]+$/g

/** Of the many requests that have none; never changed. */
export const noHeaders: HeaderList = new Map()

export function append(list: HeaderList, name: string, value: string): void {
  const key = name.toLowerCase()
  const known = list.get(key)
  if (known === undefined) list.set(key, { name, value })
  else list.set(key, { name: known.name, value: `${known.value}${key === 'cookie' ? '; ' : ', '}${value}` })
}

function take(list: HeaderList, name: unknown, value: unknown): boolean {
  // An object may do anything when it is made a string.
  const isText = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  if (typeof name !== 'string' || !isText) return false
  const text = String(value).replace(edges, '')
  if (!token.test(name) || !sendable.test(text) || unusual.test(name)) return false
  append(list, name, text)
  return true
}

/** The headers of `init.headers`, or undefined if they are not certainly fine. */
export function readHeaders(given: unknown): HeaderList | undefined {
  if (given === undefined) return noHeaders
  const list: HeaderList = new Map()
  if (typeof given !== 'object' || given === null) return undefined
  if (given instanceof Headers) {
    for (const [name, value] of given) if (!take(list, name, value)) return undefined
    return list
  }
  if (Array.isArray(given)) {
    for (const pair of given as unknown[]) {
      if (!Array.isArray(pair) || pair.length !== 2 || !take(list, pair[0], pair[1])) return undefined
    }
    return list
  }
  const prototype: unknown = Object.getPrototypeOf(given)
  if ((prototype !== Object.prototype && prototype !== null) || Symbol.iterator in given) return undefined
  if (Object.getOwnPropertySymbols(given).length > 0) return undefined
  for (const name of Object.keys(given)) {
    if (!take(list, name, (given as Record<string, unknown>)[name])) return undefined
  }
  return list
}

const codingsOf = (isHttps: boolean): string => (isHttps ? 'br, gzip, deflate, zstd' : 'gzip, deflate')

/** Of a request without headers of its own, the commonest; new for each, since a dispatcher may change them. */
function plainHeaders({ isHttps, isTrustworthy }: Place): Record<string, string> {
  const codings = codingsOf(isHttps)
  if (!isTrustworthy)
    return { accept: '*/*', 'accept-language': '*', 'user-agent': 'undici', 'accept-encoding': codings }
  return {
    accept: '*/*',
    'accept-language': '*',
    'sec-fetch-mode': 'cors',
    'user-agent': 'undici',
    'accept-encoding': codings,
  }
}

const conditional = ['if-modified-since', 'if-none-match', 'if-unmodified-since', 'if-match', 'if-range']

/**
 * What goes on the wire: `list`, then what fetch adds, in undici's order.
 * @param length of the body in bytes; null if it is not known, or there is none and none is announced
 */
export function toWire(list: HeaderList, place: Place, length: number | null): Record<string, string> {
  if (list.size === 0 && length === null) return plainHeaders(place)
  const headers: Record<string, string> = {}
  for (const { name, value } of list.values()) headers[name] = value
  if (!list.has('accept')) headers['accept'] = '*/*'
  if (!list.has('accept-language')) headers['accept-language'] = '*'
  if (length !== null && !list.has('content-length')) headers['content-length'] = String(length)
  if (place.isTrustworthy) headers['sec-fetch-mode'] = 'cors'
  if (!list.has('user-agent')) headers['user-agent'] = 'undici'
  if (conditional.some((name) => list.has(name))) {
    if (!list.has('pragma')) headers['pragma'] = 'no-cache'
    if (!list.has('cache-control')) headers['cache-control'] = 'no-cache'
  }
  const coding = list.get('accept-encoding')
  if (list.has('range')) {
    if (coding === undefined) headers['accept-encoding'] = 'identity'
    else headers[coding.name] = `${coding.value}, identity`
  } else if (coding === undefined) {
    headers['accept-encoding'] = codingsOf(place.isHttps)
  }
  const host = list.get('host')
  if (host !== undefined) delete headers[host.name]
  return headers
}
