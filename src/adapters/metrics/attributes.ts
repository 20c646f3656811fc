/** Attributes by the semantic conventions of OpenTelemetry for HTTP, of few values each: never a path, a query or a header. */

export type Attributes = Record<string, string | number | boolean>

/** Origins whose attributes are kept at hand; more are those of a crawler. */
const maxKept = 1_000
const kept = new Map<string, Attributes>()

/** `server.address`, `server.port` and `url.scheme` of an origin. */
export function serverOf(origin: string): Attributes {
  let server = kept.get(origin)
  if (server === undefined) {
    if (kept.size >= maxKept) kept.clear()
    kept.set(origin, (server = parse(origin)))
  }
  return server
}

function parse(origin: string): Attributes {
  const [, protocol, path] = /^(https?):\/\/([/\\].*)$/.exec(origin) ?? []
  // A Unix socket, or a pipe of Windows: it has no port.
  if (protocol !== undefined && path !== undefined) return { 'server.address': path, 'url.scheme': protocol }
  const url = URL.parse(origin)
  if (url === null) return {}
  const scheme = url.protocol.slice(0, -1)
  return {
    'server.address': url.hostname,
    'server.port': url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port),
    'url.scheme': scheme,
  }
}

/** Those of RFC 9110, PATCH and QUERY. Whoever makes one up makes no new series. */
const methods: ReadonlySet<string> = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'QUERY',
  'TRACE',
])

export const methodOf = (method: string): string => (methods.has(method) ? method : '_OTHER')

/** A code is short and has no blanks; anything else is what a program made up for one call, and might tell of it. */
const isCode = /^[A-Za-z_]\w{0,63}$/

/** What a request has failed by; whoever ends a request of his own has not failed. */
export function failureOf(status: number | undefined, code: string | undefined): string | undefined {
  if (code !== undefined && code !== 'AbortError') return isCode.test(code) ? code : '_OTHER'
  return status !== undefined && status >= 400 ? String(status) : undefined
}
