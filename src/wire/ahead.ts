/** What one body holds ahead of its reader, charged to the budget of the process; given back even if nobody ever reads it. */
import { type CallSite, publish, redactUrl } from '../events.ts'
import type { ResolvedDrain } from '../options.ts'
import { budget, HeldBytes, type Waiting } from './held.ts'
import type { Origin } from './origin.ts'

/** What the collector settles for a body that had arrived and that nobody read. It must not lead to that body. */
interface Estate {
  readonly origin: Origin
  readonly request: { readonly method: string; readonly path: string; readonly status: number }
  /** When its headers came. */
  readonly since: number
  /** Bytes its reader had before it was forgotten. */
  readonly read: number
  readonly site: CallSite | undefined
  /** It was for its caller to end. */
  readonly isLeak: boolean
  bytes: number
}

const collected = new FinalizationRegistry<Estate>(
  ({ origin, request, since, read, site, isLeak, bytes }) => {
    if (bytes > 0) origin.counts.holding--
    origin.counts.bytesHeld -= bytes
    origin.counts.bytesDrained += bytes
    budget.give(bytes)
    origin.noteOutcome('drained', 'collected')
    publish('drained:body', () => ({
      ...request,
      path: redactUrl(request.path),
      client: origin.scope.client,
      origin: origin.name,
      outcome: 'drained',
      reason: 'collected',
      endedBy: 'collector',
      read,
      drained: bytes,
      unread: 0,
      held: performance.now() - since,
    }))
    if (!isLeak) return
    origin.scope.leaks?.report({
      ...request,
      origin: origin.name,
      foundBy: 'collector',
      age: performance.now() - since,
      received: read + bytes,
      read,
      unread: bytes,
      heldConnection: false,
      site,
    })
  },
)

export class Ahead {
  readonly #origin: Origin
  readonly #limits: ResolvedDrain
  readonly #held = new HeldBytes()
  /** Bytes taken from the budget: what is held, and what is still expected. */
  #charged = 0
  #estate: Estate | undefined

  constructor(origin: Origin, limits: ResolvedDrain) {
    this.#origin = origin
    this.#limits = limits
  }

  get length(): number {
    return this.#held.length
  }

  push(chunk: Buffer): void {
    // Mocks send them: one that is held would be taken for nothing held.
    if (chunk.length === 0) return
    const { counts } = this.#origin
    if (this.#held.length === 0) counts.holding++
    counts.bytesHeld += chunk.length
    this.#held.push(chunk)
    // What has arrived cannot be refused, even where nothing more may be expected.
    const missing = this.#held.length - this.#charged
    if (missing <= 0) return
    this.#charged += missing
    budget.force(missing)
  }

  shift(): Buffer | undefined {
    const chunk = this.#held.shift()
    if (chunk === undefined) return undefined
    const { counts } = this.#origin
    counts.bytesHeld -= chunk.length
    if (this.#held.length === 0) counts.holding--
    return chunk
  }

  /** True while `remaining` more bytes (undefined: not declared) may be received ahead; else `waiting` hears of new room. */
  mayGrow(remaining: number | undefined, waiting: Waiting): boolean {
    const { readAhead, memory } = this.#limits
    if (remaining === undefined) {
      // One byte more than fits shows that it does not.
      if (this.length > readAhead) return false
      if (budget.used < memory) return true
    } else {
      // Nothing is received ahead of a body that cannot be received whole: it would only cost memory.
      const whole = this.length + remaining
      if (whole > readAhead) return false
      const missing = whole - this.#charged
      if (missing <= 0) return true
      if (budget.take(missing, memory)) {
        this.#charged += missing
        return true
      }
    }
    budget.wait(waiting)
    return false
  }

  /** Nothing more is expected: gives back what was charged for it. */
  expectNoMore(): void {
    const spare = this.#charged - this.length
    this.#charged = this.length
    if (this.#estate !== undefined) this.#estate.bytes = this.length
    budget.give(spare)
  }

  /** The end has arrived, and from now on only the reader keeps `body` alive. */
  bequeath(body: object, facts: Omit<Estate, 'origin' | 'bytes'>): void {
    this.#estate = { origin: this.#origin, ...facts, bytes: this.length }
    collected.register(body, this.#estate, this)
    this.#held.compact()
  }

  /** Forgets everything; returns how many bytes that were. */
  drop(waiting: Waiting): number {
    budget.forget(waiting)
    if (this.#estate !== undefined) collected.unregister(this)
    const bytes = this.length
    if (bytes > 0) {
      this.#origin.counts.bytesHeld -= bytes
      this.#origin.counts.holding--
    }
    this.#held.clear()
    this.expectNoMore()
    return bytes
  }
}
