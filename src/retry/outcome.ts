/** What came of one attempt, as policies see it. */
import type { OwnedResponse } from '../fetch/response.ts'
import type { AttemptOutcome, RetryNotice } from '../options/retry.ts'
import type { Replay } from './replay.ts'

export class Outcome implements AttemptOutcome {
  readonly attempt: number
  readonly method: string
  readonly url: string
  readonly response: OwnedResponse | undefined
  readonly error: unknown
  readonly code: string | undefined
  readonly elapsed: number
  readonly waited: number
  readonly previous: AttemptOutcome | undefined
  readonly #given: Replay['headers']
  #headers: Headers | undefined

  constructor(
    { method, headers }: Replay,
    facts: Omit<AttemptOutcome, 'method' | 'headers' | 'code' | 'response'>,
    response: OwnedResponse | undefined,
  ) {
    this.attempt = facts.attempt
    this.method = method
    this.url = facts.url
    this.response = response
    this.error = facts.error
    this.code = response === undefined ? codeOf(facts.error) : undefined
    this.elapsed = facts.elapsed
    this.waited = facts.waited
    this.previous = facts.previous
    this.#given = headers
  }

  /** Made for whoever asks. */
  get headers(): Headers {
    return (this.#headers ??= new Headers(this.#given))
  }
}

/** With all of its fields as its own, for whoever copies or prints it. */
export function noticeOf(outcome: Outcome, wait: number): RetryNotice {
  const { attempt, method, url, response, error, code, elapsed, waited, previous } = outcome
  const facts = { attempt, method, url, response, error, code, elapsed, waited, previous, wait }
  return Object.defineProperty(facts as RetryNotice, 'headers', {
    enumerable: true,
    get: () => outcome.headers,
  })
}

/** Half a Response, or none, as simple mocks make it: nothing in it says whether another attempt is worth it. */
export const isHalf = (response: OwnedResponse | undefined | null): boolean =>
  typeof (response as { headers?: Partial<Headers> } | undefined | null)?.headers?.get !== 'function'

/** Gives a response up; half a Response has nothing to give up. */
export async function dispose(response: Partial<OwnedResponse> | undefined): Promise<void> {
  await response?.[Symbol.asyncDispose]?.()
}

/** Of the error itself, or of the nearest cause that has one. */
function codeOf(error: unknown): string | undefined {
  let each = error
  // Causes may lead back to where they began.
  for (let depth = 0; depth < 5 && typeof each === 'object' && each !== null; depth++) {
    const { code, cause } = each as { code?: unknown; cause?: unknown }
    if (typeof code === 'string') return code
    each = cause
  }
  return undefined
}
