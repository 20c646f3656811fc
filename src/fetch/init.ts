/** The members of an init, by who they are for, and a copy of one, whatever it is. */
import type { FetchInit } from './fetch.ts'

/** The members of an init that fetch knows, inherited ones too: an init may be a Request. */
export const members = [
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
  'priority',
] as const

/** Those that are ours, and not for another fetch. */
export const ours = ['timeout', 'retry', 'hedge', 'decompress'] as const

/** Those that change nothing about what is sent. */
export const unsent: ReadonlySet<string> = new Set([...ours, 'dispatcher'])

/** A copy that may be changed; of an init that is a Request, too, whose members are inherited. */
export function spread(init: FetchInit | null = {}): FetchInit {
  if (init === null) return {}
  const prototype: unknown = Object.getPrototypeOf(init)
  if (prototype === null || prototype === Object.prototype) return { ...init }
  const given = init as Record<string, unknown>
  const inherited = [...members, ...unsent]
    .map((name) => [name, given[name]] as const)
    .filter(([, value]) => value !== undefined)
  return { ...init, ...(Object.fromEntries(inherited) as FetchInit) }
}
