/**
 * What ends a call between its requests: its caller, the limit for everything, its client. Whatever it waits for then, it ends at once, with
 * the reason of whoever ended it, and nothing is left behind.
 */

/** The longest wait Node's timers can hold: 24 days. */
const longest = 2_147_483_647

/** Who ends a call, and how. */
export interface Limits {
  /** Of the caller: its reason is handed on as it is. */
  readonly signal: AbortSignal | null | undefined
  /** Of the client: its reason is the cause of the failure. */
  readonly closing: AbortSignal
  /** When the call has to be over (`performance.now()`). */
  readonly end: number
  /** Makes the error for that. */
  readonly late: () => Error
}

export class Ends {
  readonly #limits: Limits

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** What comes of the work, unless an end comes before; then only `late` hears of it. */
  async or<T>(work: Promise<T>, late?: (value: T) => void): Promise<T> {
    try {
      return await this.#race((resolve, reject) => void work.then(resolve, reject))
    } catch (error) {
      if (late !== undefined) work.then(late, () => {})
      throw error
    }
  }

  sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    return this.#race(
      (resolve) => (timer = setTimeout(resolve, Math.min(ms, longest))),
      () => clearTimeout(timer),
    )
  }

  async #race<T>(
    start: (resolve: (value: T) => void, reject: (reason: unknown) => void) => void,
    stop?: () => void,
  ): Promise<T> {
    const { signal, closing, end, late } = this.#limits
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const onAbort = (): void => {
      if (signal?.aborted) reject(signal.reason)
      else if (closing.aborted) reject(new TypeError('fetch failed', { cause: closing.reason }))
    }
    signal?.addEventListener('abort', onAbort)
    closing.addEventListener('abort', onAbort)
    onAbort()
    const left = Math.max(0, end - performance.now())
    const timer = left < longest ? setTimeout(() => reject(late()), left) : undefined
    start(resolve, reject)
    try {
      return await promise
    } finally {
      stop?.()
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      closing.removeEventListener('abort', onAbort)
    }
  }
}
