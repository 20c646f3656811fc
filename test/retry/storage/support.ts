/** A call to a made-up service: what a policy makes of a script of outcomes, without a socket or a clock. */
import { TimeoutError } from '../../../src/errors.ts'
import type { AttemptOutcome, RetryBudget, RetryPolicy } from '../../../src/options/retry.ts'

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string> | undefined
  readonly body?: string | undefined
}

/** How one attempt ends: a response, or a network error, perhaps by its code alone. */
export type End = Answer | { readonly code: string } | { readonly error: Error }

export interface Call {
  readonly method?: string
  readonly url?: string
  readonly headers?: Record<string, string>
  /** Milliseconds each attempt takes. */
  readonly takes?: number
}

/** One attempt: when it began, and where it was sent. */
export interface Sent {
  readonly at: number
  readonly url: string
}

export interface Played {
  readonly sent: readonly Sent[]
  /** Waits between attempts. */
  readonly waits: readonly number[]
  readonly last: AttemptOutcome
  readonly because: 'attempts' | 'budget' | 'policy' | 'retry-after' | 'script'
}

/** Plays a script as the loop of retries does; the last outcome repeats itself. */
export async function play(
  policy: RetryPolicy,
  ends: readonly End[],
  call: Call = {},
  budget?: RetryBudget,
): Promise<Played> {
  const { method = 'GET', url = 'https://account.example/box/item?a=b', headers, takes = 0 } = call
  const sent: Sent[] = []
  const waits: number[] = []
  let now = 0
  let waited = 0
  let target = url
  let previous: AttemptOutcome | undefined
  budget?.deposit()
  for (let attempt = 1; ; attempt++) {
    sent.push({ at: now, url: target })
    now += takes
    const end = ends[Math.min(attempt, ends.length) - 1] as End
    const outcome: AttemptOutcome = {
      attempt,
      method,
      url: target,
      headers: new Headers(headers),
      response: 'status' in end ? responseOf(end, method) : undefined,
      error: errorOf(end),
      code: codeOf(end),
      elapsed: now,
      waited,
      previous,
    }
    const next = await policy.next(outcome)
    const over = (because: Played['because']): Played => ({ sent, waits, last: outcome, because })
    if (!next.retry) {
      if (outcome.response !== undefined) budget?.settle?.(outcome)
      return over(next.because ?? 'policy')
    }
    if (attempt === policy.maxAttempts) return over('attempts')
    if (budget?.withdraw(outcome) === false) return over('budget')
    waits.push(next.wait)
    now += waited = next.wait
    target = next.url ?? url
    previous = outcome
  }
}

function errorOf(end: End): unknown {
  if ('status' in end) return undefined
  return 'error' in end ? end.error : new TypeError('fetch failed')
}

function codeOf(end: End): string | undefined {
  if ('status' in end) return undefined
  return 'error' in end ? (end.error as { code?: string }).code : end.code
}

function responseOf({ status, headers, body }: Answer, method: string): Response {
  const isEmpty = method === 'HEAD' || [204, 205, 304].includes(status)
  return new Response(isEmpty ? null : (body ?? ''), { status, headers: headers ?? {} })
}

export const s3Error = (code: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>No.</Message></Error>`

export const timedOut = (phase: 'queue' | 'headers' | 'body'): End => ({
  error: new TimeoutError(phase, 10, 'GET', 'https://account.example/'),
})
