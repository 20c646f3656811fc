/** The origins of one client or agent, and their numbers together. */
import { redactUrl } from '../events.ts'
import { Origin, type Scope } from './origin.ts'
import { addCounts, newCounts, showAll, type WireStats } from './stats.ts'

/** Idle origins remembered, beyond as many as were ever in use at once; a crawler's are folded into the totals. */
const maxIdle = 1_000

export class Origins {
  readonly #scope: Scope
  readonly #byName = new Map<string, Origin>()
  readonly #gone = newCounts()
  /** How many there are when it is time to look for idle ones: not for each new one, where most are in use. */
  #most = maxIdle

  constructor(scope: Scope) {
    this.#scope = scope
  }

  /** Credentials are in no name; looking for them in every request would cost more than all else here. */
  of(given: string): Origin {
    return this.#byName.get(given) ?? this.#named(given.includes('@') ? redactUrl(given) : given)
  }

  /** Undefined if nothing was ever sent there. */
  known(name: string): Origin | undefined {
    return this.#byName.get(name)
  }

  all(): Iterable<Origin> {
    return this.#byName.values()
  }

  stats(): WireStats {
    return showAll(this.#scope.client, this.#byName.values(), this.#gone)
  }

  #named(name: string): Origin {
    let origin = this.#byName.get(name)
    if (origin === undefined) {
      if (this.#byName.size >= this.#most) this.#forgetIdle()
      origin = new Origin(name, this.#scope)
      this.#byName.set(name, origin)
    }
    return origin
  }

  #forgetIdle(): void {
    for (const [name, origin] of this.#byName) {
      if (!origin.isIdle) continue
      addCounts(this.#gone, origin.counts)
      this.#byName.delete(name)
    }
    this.#most = this.#byName.size + maxIdle
  }
}
