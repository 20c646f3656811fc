/**
 * Leaks of one client: which calls are traced, and what is told of a body that nobody ended. A call that is not traced costs a decrement.
 */
import { Trace, textOf } from './call-site.ts'
import { BodyLeakedError } from './errors.ts'
import { type CallSite, type LeakEvent, publish, redactUrl } from './events.ts'
import { collectGarbage } from './garbage.ts'
import type { LeakMode } from './options.ts'

/** A leak as the wire knows it. */
export type Found = Omit<LeakEvent, 'client' | 'count' | 'callSite'>

/** Calls traced at once: the first of a client, and those that follow a leak nobody could name. */
const burst = 256
/** A busy client traces one call in so many: a trace costs about half a small call, and the first leak without a name changes that. */
const every = 1_024
/** Calls traced in a millisecond all the same, so that a client of less than 50 calls per second traces most of them. */
const perMs = 0.05
/** Milliseconds between two bursts: in all, less than a thousandth of the time. */
const between = 1_000
/** Paths (by shape) of leaks nobody could name: all calls to them are traced, since a client may make thousands to others in between. */
const maxWanted = 16
/** Traces such calls may have: enough for a leak in one of 4,000 calls. */
const maxCredit = 4_096
/** And in a millisecond more: in all, less than a hundredth of the time. */
const creditPerMs = 0.5
/** Credit it takes to look at where a call goes, since it takes a fourth of the time of a trace. */
const creditPerLook = 0.25
/** Call sites that are counted; the one that has been silent longest is forgotten. */
const maxCounted = 1_000

export type Watcher = (leak: LeakEvent) => void

const watchers = new Set<Watcher>()

/** Until the function it returns is called, every call of every client is traced, and every leak told to `watcher`. */
export function watchLeaks(watcher: Watcher): () => void {
  watchers.add(watcher)
  return () => void watchers.delete(watcher)
}

/** @throws if there is one; an AggregateError for several */
export function throwLeaks(errors: readonly BodyLeakedError[]): void {
  if (errors.length === 1) throw errors[0]
  const messages = errors.map(({ message }) => `\n- ${message}`).join('')
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} bodies were leaked:${messages}`)
}

export class Leaks {
  readonly #client: string
  readonly #throws: boolean
  readonly #counts = new Map<string, number>()
  readonly #isAll: boolean
  // Small integers: V8 keeps others on the heap, and each call would allocate.
  /** Calls until the next one that is traced. */
  #until = 0
  /** Of those that are traced one after another. */
  #left = burst
  #refilledAt = performance.now()
  #burstAt = -Infinity
  readonly #wanted = new Set<string>()
  #credit = maxCredit
  #creditedAt = performance.now()
  /** Errors for whoever closes the client. */
  #caught: BodyLeakedError[] | undefined

  constructor(client: string, mode: Exclude<LeakMode, 'off'>) {
    this.#client = client
    this.#throws = mode === 'throw'
    this.#isAll = mode !== 'sample'
  }

  /**
   * @param fetch the function whose caller is to be named
   * @param input what it was given to fetch
   */
  trace(fetch: object, input: unknown): Trace | undefined {
    if (--this.#until > 0 && this.#wanted.size === 0 && watchers.size === 0) return undefined
    return this.#isTraced(input) ? new Trace(fetch) : undefined
  }

  #isTraced(input: unknown): boolean {
    if (this.#until > 0) return watchers.size > 0 || this.#isWanted(input)
    this.#until = 1
    if (!this.#isAll && --this.#left <= 0) this.#refill()
    return true
  }

  /** By chance: calls that alternate would meet a fixed interval at the same one for ever. */
  #refill(): void {
    const now = performance.now()
    this.#left = Math.min(burst, (now - this.#refilledAt) * perMs) | 0
    this.#refilledAt = now
    if (this.#left === 0) this.#until = (2 + Math.random() * (2 * every - 1)) | 0
  }

  /** Something is wrong, and nobody knows where: the next calls are traced. */
  wonder(): void {
    const now = performance.now()
    if (now - this.#burstAt < between) return
    this.#burstAt = now
    this.#left = burst
    this.#until = 0
  }

  /** The next calls to the like of this path are traced. */
  #want(path: string): void {
    this.#earn()
    if (this.#credit <= 0) return
    this.#wanted.add(shapeOf(path))
    const [oldest] = this.#wanted
    if (this.#wanted.size > maxWanted) this.#wanted.delete(oldest as string)
  }

  #isWanted(input: unknown): boolean {
    const isWanted = this.#wanted.has(shapeOf(pathOf(input)))
    this.#credit -= isWanted ? 1 : creditPerLook
    if (this.#credit <= 0) this.#earn()
    if (this.#credit <= 0) this.#wanted.clear()
    return isWanted
  }

  #earn(): void {
    const now = performance.now()
    this.#credit = Math.min(maxCredit, this.#credit + (now - this.#creditedAt) * creditPerMs)
    this.#creditedAt = now
  }

  report(found: Found): void {
    if (found.site === undefined) {
      this.wonder()
      this.#want(found.path)
    } else if (this.#wanted.size > 0) {
      this.#wanted.delete(shapeOf(found.path))
    }
    const callSite = found.site && textOf(found.site)
    const count = this.#count(callSite ?? `${found.method} ${found.origin}${shapeOf(found.path)}`)
    const event = (): LeakEvent => ({
      ...found,
      path: redactUrl(found.path),
      client: this.#client,
      count,
      callSite,
    })
    if (/^10*$/.test(String(count))) publish('drained:leak', event)
    for (const watcher of watchers) watcher(event())
    if (!this.#throws || watchers.size > 0) return
    const error = new BodyLeakedError(event())
    if (this.#caught !== undefined) return void this.#caught.push(error)
    queueMicrotask(() => {
      throw error
    })
  }

  /**
   * The client closes: of `throw`, what was forgotten and is found until it is closed is thrown to whoever closes.
   * @throws BodyLeakedError for one leak, an AggregateError of them for several
   */
  async conclude(closed: Promise<void>): Promise<void> {
    if (!this.#throws) return
    this.#caught ??= []
    await collectGarbage()
    // Meanwhile, what nobody touches is taken back.
    await closed.catch(() => {})
    const errors = this.#caught ?? []
    this.#caught = undefined
    throwLeaks(errors)
  }

  #count(key: string): number {
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.delete(key)
    this.#counts.set(key, count)
    const [oldest] = this.#counts.keys()
    if (this.#counts.size > maxCounted) this.#counts.delete(oldest as string)
    return count
  }
}

/** A path without its query, numbers and ids, which differ from call to call. In linear time: a server may redirect to a long one. */
export function shapeOf(path: string): string {
  const end = path.search(/[?#]/)
  const segments = (end === -1 ? path : path.slice(0, end)).split('/')
  return segments.map((segment) => (/\d/.test(segment) ? '*' : segment)).join('/')
}

/** Of what fetch is given, as it will most likely be sent; what is wrong with it is for fetch to say. */
function pathOf(input: unknown): string {
  const text = textIn(input)
  if (typeof text !== 'string') return ''
  const path = text.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  return path.startsWith('/') ? path : `/${path}`
}

function textIn(input: unknown): unknown {
  try {
    if (input instanceof URL) return input.pathname
    return input instanceof Request ? input.url : input
  } catch {
    return undefined
  }
}

/** What calls and bodies have in common, for whoever groups them. */
export const keyOf = (site: CallSite | undefined, method: string, path: string): string =>
  site === undefined ? `${method} ${shapeOf(path)}` : textOf(site)
