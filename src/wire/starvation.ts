/** Tells who keeps the connections of an origin when a request has waited long for one. One timer per origin, and only while requests wait. */
import { textOf } from '../call-site.ts'
import { type Holder, publish, redactUrl } from '../events.ts'
import { keyOf } from '../leaks.ts'
import type { Origin, Tracked } from './origin.ts'

/** Entries of a report: beyond them it is no longer a few places that are at fault. */
const maxHolders = 20

export class Starvation {
  readonly #origin: Origin
  #timer: NodeJS.Timeout | undefined

  constructor(origin: Origin) {
    this.#origin = origin
  }

  /** A request waits. */
  watch(): void {
    const { warn } = this.#origin.scope
    if (this.#timer === undefined && warn !== Infinity) this.#lookAfter(warn)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #lookAfter(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), ms)
    // A report is no reason to stay.
    this.#timer.unref()
  }

  #look(): void {
    this.#timer = undefined
    const { waitingSince, scope } = this.#origin
    if (waitingSince === undefined || scope.closing) return
    const waited = performance.now() - waitingSince
    // One more millisecond: timers round down.
    if (waited < scope.warn) return this.#lookAfter(scope.warn - waited + 1)
    this.#report(waited)
    this.#lookAfter(scope.warn)
  }

  #report(waited: number): void {
    const { name, scope, holders } = this.#origin
    // Then it is the making of connections that takes so long.
    if (holders.length === 0) return
    scope.leaks?.wonder()
    publish('drained:starvation', () => ({
      client: scope.client,
      origin: name,
      waited,
      waiting: this.#origin.waiting,
      limit: scope.limit,
      open: this.#origin.sockets.open,
      holders: grouped(holders),
    }))
  }
}

/** By state and call site, most connections first. */
function grouped(holders: readonly Tracked[]): Holder[] {
  const now = performance.now()
  const groups = new Map<string, Holder>()
  for (const { holding, path, since, startedAt } of holders) {
    const { state, method, received, site } = holding
    const key = `${state} ${keyOf(site, method, path)}`
    const known = groups.get(key)
    const age = now - (startedAt === 0 ? since : startedAt)
    const oldest =
      known !== undefined && known.age >= age
        ? { method: known.method, path: known.path, age: known.age }
        : { method, path: redactUrl(path), age }
    groups.set(key, {
      state,
      count: (known?.count ?? 0) + 1,
      ...oldest,
      received: (known?.received ?? 0) + received,
      callSite: site && textOf(site),
      site,
    })
  }
  return [...groups.values()].sort((a, b) => b.count - a.count).slice(0, maxHolders)
}
