/**
 * Finds bodies that nobody can read any more, because their Response, or the stream taken from it, was collected. Most bodies are read
 * in the turn in which they arrive, so that one is registered only if it is still watched when its turn ends.
 */
import { BodyGivenUpError } from '../errors.ts'
import { atTurnEnd, type TurnTask } from '../turn.ts'

/** A body that can be given up. */
export abstract class Watched implements TurnTask {
  /** Who reads it; referred to until the turn ends, and never longer. */
  #reader: object | undefined
  #isRegistered = false

  abstract giveUp(reason: Error): void

  /** Gives this body up once `reader`, and no other, is collected. */
  watch(reader: object): void {
    this.unwatch()
    this.#reader = reader
    atTurnEnd(this)
  }

  /** It has ended, or is being read to its end whether or not somebody still refers to its Response. */
  unwatch(): void {
    this.#reader = undefined
    if (!this.#isRegistered) return
    this.#isRegistered = false
    registry.unregister(this)
  }

  onTurnEnd(): void {
    if (this.#reader === undefined) return
    registry.register(this.#reader, this, this)
    this.#isRegistered = true
    this.#reader = undefined
  }
}

const registry = new FinalizationRegistry<Watched>((body) =>
  body.giveUp(new BodyGivenUpError('The response was garbage collected before its body was read', true)),
)
