/** How options are checked: what is not accepted is refused with an error that names the option, its value and what is accepted. */
import { InvalidOptionError } from '../errors.ts'

export interface Check {
  readonly accepts: string
  readonly ok: (value: unknown) => boolean
  /** Text in its place may be a secret. */
  readonly hides?: true
}
export type Checks<T> = { readonly [K in keyof Required<T>]: Check }

/** Not a Map, a Headers or an array: their contents would be ignored. */
export const isObject = (value: unknown): value is Record<string, unknown> => {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
export const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
/** Node's timers hold 31 bits of milliseconds; more would fire at once. */
export const longestTimer = 2_147_483_647
export const isTime = (value: unknown): boolean =>
  typeof value === 'number' && value >= 0 && value <= longestTimer && !Number.isNaN(value)
export const bytes: Check = { accepts: 'a whole number of bytes, 0 or more', ok: isCount }
export const time: Check = { accepts: 'milliseconds from 0 to 2147483647', ok: isTime }
export const boolean: Check = { accepts: 'true or false', ok: (value) => typeof value === 'boolean' }
export const text: Check = {
  accepts: 'a string that is not empty',
  ok: (value) => typeof value === 'string' && value !== '',
}
export const aFunction: Check = { accepts: 'a function', ok: (value) => typeof value === 'function' }
/** For somebody else to check. */
export const anything: Check = { accepts: 'anything', ok: () => true }
export const object: Check = { accepts: 'an object', ok: isObject, hides: true }
/** undici takes 0 for no limit, which nobody means by it. */
export const someTime: Check = {
  accepts: 'milliseconds from 1 to 2147483647',
  ok: (value) => isTime(value) && (value as number) >= 1,
}
export const positive: Check = {
  accepts: 'a whole number, 1 or more',
  ok: (value) => isCount(value) && value !== 0,
}

/** What Node's timers can hold, or no limit. */
export const limit: Check = {
  accepts: 'milliseconds from 0 to 2147483647, or Infinity',
  ok: (value) => isTime(value) || value === Infinity,
}

/** Refuses what is not an object, unknown names (with the nearest known one) and bad values. */
export function check<T extends object>(path: string, options: T, checks: Checks<T>): void {
  if (!isObject(options)) {
    throw new InvalidOptionError(path, `${path} must be an object, got ${show(options, true)}`)
  }
  const prefix = path === 'options' ? '' : `${path}.`
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(checks, name) ? checks[name as keyof T] : undefined
    if (rule === undefined) {
      const known = Object.keys(checks)
      throw new InvalidOptionError(
        prefix + name,
        `Unknown option ${prefix}${name}: did you mean ${prefix}${nearest(name, known)}? Known: ${known.join(', ')}`,
      )
    }
    if (value !== undefined && !rule.ok(value)) {
      throw new InvalidOptionError(
        prefix + name,
        `Option ${prefix}${name} must be ${rule.accepts}, got ${show(value, rule.hides)}`,
      )
    }
  }
}

/** Of text that may hold a secret only as much as shows what is wrong with it. */
function show(value: unknown, hides = false): string {
  if (typeof value === 'string') return hides ? 'a string' : showText(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null)
    return value instanceof URL ? `the URL ${value.protocol}//${value.host}` : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}

function showText(text: string): string {
  const url = URL.parse(text)
  if (url !== null && url.host !== '') return `"${url.protocol}//${url.host}" and what follows`.slice(0, 100)
  return /^[\w.:/ -]{0,40}$/.test(text) && !text.includes('@') ? JSON.stringify(text) : 'other text'
}

/** The known name with the smallest edit distance to what was given. */
export function nearest(name: string, known: readonly string[]): string {
  let best = known[0] ?? ''
  let least = Infinity
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least) [best, least] = [candidate, distance]
  }
  return best
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next[j] = Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
    }
    row = next
  }
  return row[b.length] ?? 0
}

export function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
