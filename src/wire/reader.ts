/** What the reader's side of a body gets to steer it with: it pauses, resumes and aborts, and never waits for the wire. */
import type { Dispatcher } from 'undici'
import { BodyGivenUpError } from '../errors.ts'

type Controller = Dispatcher.DispatchController
type Raw = NonNullable<Controller['rawHeaders']> | null

/** The body behind a {@link Reader}. */
export interface Steered {
  readonly wire: Controller | null
  onPause(): void
  onResume(): void
  giveUp(by: 'reader', reason: Error): void
}

export class Reader implements Controller {
  paused = false
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
    this.#body.giveUp('reader', reason ?? new BodyGivenUpError())
  }
}
