/** The origins of one client or agent, and their numbers together. */
import { Origin, type Scope } from './origin.ts'
import { addCounts, type ClientStats, newCounts, showAll } from './stats.ts'

/** Origins remembered at the most; a crawler's idle ones are folded into the totals. */
const maxRemembered = 1_000

export class Origins {
  readonly #scope: Scope
  readonly #byName = new Map<string, Origin>()
  readonly #gone = newCounts()

  constructor(scope: Scope) {
    this.#scope = scope
  }

  get(name: string): Origin {
    let origin = this.#byName.get(name)
    if (origin === undefined) {
      if (this.#byName.size >= maxRemembered) this.#forgetIdle()
      origin = new Origin(name, this.#scope)
      this.#byName.set(name, origin)
    }
    return origin
  }

  all(): Iterable<Origin> {
    return this.#byName.values()
  }

  stats(): ClientStats {
    return showAll(this.#scope.client, this.#byName.values(), this.#gone)
  }

  #forgetIdle(): void {
    for (const [name, origin] of this.#byName) {
      if (!origin.isIdle) continue
      addCounts(this.#gone, origin.counts)
      this.#byName.delete(name)
    }
  }
}
