/**
 * Where a request goes: an address as the URL Standard reads it. Most addresses are already written as they would be written out again;
 * one that certainly is, at an origin that was seen before, is taken as it is, because parsing is the dearest part of a small call.
 */

/** What the short lane knows of an origin; the same object, and the same string, for one call after another. */
export interface Place {
  readonly origin: string
  readonly isHttps: boolean
  /** Where Fetch Metadata is sent (Secure Contexts, 3.1). */
  readonly isTrustworthy: boolean
}

export interface Address {
  /** With its fragment, if it has one. */
  readonly href: string
  readonly place: Place
}

/** Fetch, 2.9 (port blocking). */
const badPorts: ReadonlySet<string> = new Set(
  (
    '1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 135 137 ' +
    '139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 ' +
    '1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080'
  ).split(' '),
)

function isLocal({ hostname }: URL): boolean {
  const host = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(host)
  )
}

/** Places remembered, the newest first: a client has one, a program a few. */
const mostRemembered = 8
let remembered: readonly Place[] = []

function placeOf(url: URL): Place {
  const { origin } = url
  const known = remembered.find((place) => place.origin === origin)
  if (known !== undefined) return known
  const isHttps = url.protocol === 'https:'
  const place = { origin, isHttps, isTrustworthy: isHttps || isLocal(url) }
  remembered = [place, ...remembered.slice(0, mostRemembered - 1)]
  return place
}

/** What the URL parser leaves as it is: in a path, in a query, by character code. */
const inPath = 1
const inQuery = 2
const kept = new Uint8Array(128)
for (const char of "-._~!$&()*+,;=:@%/?'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
  kept[char.charCodeAt(0)] = char === "'" ? inPath : inPath | inQuery

const [slash, dot, percent, question] = [0x2f, 0x2e, 0x25, 0x3f]

/**
 * True if path and query of `text` are certainly as the URL parser would write them: no character it encodes, no fragment, and no
 * segment that begins like one it might take away (`.`, `..`, `%2e`). A loop, since a regular expression takes as long as the parser.
 */
function isCanonical(text: string, from: number): boolean {
  if (text.charCodeAt(from) !== slash) return false
  let where = inPath
  let before = 0
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (((kept[code] ?? 0) & where) === 0) return false
    if (before === slash && (code === dot || code === percent) && where === inPath) return false
    if (code === question) where = inQuery
    before = code
  }
  return true
}

/** `text` as it is, if that is certain to be its address. */
function asGiven(text: string): Address | undefined {
  for (const place of remembered)
    if (text.startsWith(place.origin) && isCanonical(text, place.origin.length)) return { href: text, place }
  return undefined
}

/** The address of a URL, or undefined if it is not one the short lane may send to. */
export function addressOf(url: URL): Address | undefined {
  const isPlain =
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    (url.port === '' || !badPorts.has(url.port)) &&
    url.username === '' &&
    url.password === ''
  return isPlain ? { href: url.href, place: placeOf(url) } : undefined
}

/** The address of an absolute URL, or undefined if it is none, or not one the short lane may send to. */
export function readAddress(text: string): Address | undefined {
  const given = asGiven(text)
  if (given !== undefined) return given
  const url = URL.parse(text)
  return url === null ? undefined : addressOf(url)
}

/** What relative URLs of a client are resolved against. */
export interface Base {
  readonly href: string
  /** What stands before a path that begins with a slash; undefined if that is more than an origin. */
  readonly prefix: string | undefined
}

/** @throws TypeError if it is no URL */
export function baseOf(origin: string | URL): Base {
  const url = new URL(origin)
  return { href: url.href, prefix: addressOf(url)?.place.origin }
}

/** A relative URL resolved against `base`; everything else, bad URLs included, is left to fetch. */
export function resolveAddress(text: string, { href, prefix }: Base): string {
  const isPath = prefix !== undefined && isCanonical(text, 0) && text.charCodeAt(1) !== slash
  if (isPath) return prefix + text
  return asGiven(text) === undefined ? (URL.parse(text, href)?.href ?? text) : text
}

export function withoutFragment(href: string): string {
  const at = href.indexOf('#')
  return at === -1 ? href : href.slice(0, at)
}
