/** What the reader's side of a body gets to steer it with: it pauses, resumes and aborts, and never waits for the wire. */
import { type Dispatcher, errors } from 'undici'
import { BodyGivenUpError } from '../errors.ts'

type Controller = Dispatcher.DispatchController
type Raw = NonNullable<Controller['rawHeaders']> | null

/** What undici's fetch cancels a body with whose Response was collected, in place of an error. */
const collectedByUndici = 'Response object has been garbage collected'

/** The body behind a {@link Reader}. */
export interface Steered {
  readonly wire: Controller | null
  onPause(): void
  onResume(): void
  giveUp(by: 'reader' | 'collector', reason: Error): void
}

export class Reader implements Controller {
  paused = false
  /** By this reader, that is: one that was aborted from elsewhere, or threw, has to be told. */
  aborted = false
  reason: Error | null = null
  readonly #body: Steered

  constructor(body: Steered) {
    this.#body = body
  }

  get rawHeaders(): Raw {
    return this.#body.wire?.rawHeaders ?? null
  }

  get rawTrailers(): Raw {
    return this.#body.wire?.rawTrailers ?? null
  }

  pause(): void {
    if (this.paused) return
    this.paused = true
    this.#body.onPause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.#body.onResume()
  }

  abort(reason?: Error): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason ?? new errors.RequestAbortedError()
    const isCollected =
      reason instanceof BodyGivenUpError ? reason.isCollected : (reason as unknown) === collectedByUndici
    this.#body.giveUp(isCollected ? 'collector' : 'reader', this.reason)
  }
}
