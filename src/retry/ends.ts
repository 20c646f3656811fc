/**
 * What ends a call between its requests: its caller, the limit for everything, its client. Whatever it waits for then, it ends at once, with
 * the reason of whoever ended it, and nothing is left behind.
 */
import { longestTimer } from '../options/check.ts'

/** Who ends a call, and how. */
export interface Ends {
  /** Of the caller: its reason is handed on as it is. */
  readonly signal: AbortSignal | null | undefined
  /** Of the client: its reason is the cause of the failure. */
  readonly closing: AbortSignal
  /** When the call has to be over (`performance.now()`). */
  readonly end: number
  /** Makes the error for that. */
  readonly late: () => Error
}

/** What comes of the work, unless an end comes before. */
export async function unlessEnded<T>(work: Promise<T>, { signal, closing, end, late }: Ends): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onAbort = (): void => {
    if (signal?.aborted) reject(signal.reason)
    else if (closing.aborted) reject(new TypeError('fetch failed', { cause: closing.reason }))
  }
  signal?.addEventListener('abort', onAbort)
  closing.addEventListener('abort', onAbort)
  onAbort()
  const left = Math.max(0, end - performance.now())
  const timer = left < longestTimer ? setTimeout(() => reject(late()), left) : undefined
  work.then(resolve, reject)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    closing.removeEventListener('abort', onAbort)
  }
}

/** Milliseconds, unless an end comes before. */
export async function sleep(ms: number, ends: Ends): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, Math.min(ms, longestTimer))
  try {
    await unlessEnded(promise, ends)
  } finally {
    clearTimeout(timer)
  }
}
