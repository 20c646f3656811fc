/** Response headers as node:http has them. */

/** Of these it keeps the first, since they mean nothing in a list. */
const single: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent',
])

/** One that came more than once. Of `set-cookie` Node keeps all, and its users have their own ways to make one of them. */
export function joined(name: string, values: readonly string[]): string | undefined {
  return single.has(name) ? values[0] : values.join(name === 'cookie' ? '; ' : ', ')
}
