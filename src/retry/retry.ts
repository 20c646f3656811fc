/**
 * The loop of attempts around fetch. The first attempt runs bare; p-retry is entered only after it has failed. A response that is not
 * handed out is given up before the wait, so that the next attempt finds its connection free.
 */
import pRetry from 'p-retry'
import { BodyNotReplayableError, RetriedResponseError, TimeoutError } from '../errors.ts'
import { type GaveUp, publish, redactUrl } from '../events.ts'
import type { FetchInit } from '../fetch/fetch.ts'
import type { OwnedResponse } from '../fetch/response.ts'
import {
  type AttemptOutcome,
  idempotent,
  type NextAttempt,
  type RetryBudget,
  type RetryPolicy,
} from '../options/retry.ts'
import { type Ends, sleep, unlessEnded } from './ends.ts'
import { hedged } from './hedge.ts'
import { dispose, isHalf, noticeOf, Outcome } from './outcome.ts'
import { stop } from './policy.ts'
import { giveUp, type Input, type Replay, type Sendable } from './replay.ts'

/** One attempt: a call of fetch without retries. `since` is when the call began (`performance.now()`), if it is not the first. */
export type Attempt = (input: Input, init: FetchInit | undefined, since?: number) => Promise<OwnedResponse>

/** What holds for the retries of a call. */
export interface RetrySettings {
  readonly client: string
  /** Aborts when the client is closed or destroyed: nothing more is sent. */
  readonly closing: AbortSignal
  /** Aborts when the client is destroyed: what has been answered is over, too. */
  readonly destroyed: AbortSignal
  readonly policy: RetryPolicy | undefined
  /** Milliseconds without an answer after which a second request is sent. */
  readonly hedge: number | undefined
  readonly budget: RetryBudget | undefined
  /** Milliseconds for everything. */
  readonly total: number
  readonly counts: { made: number; hedged: number; gaveUp: { [K in GaveUp]: number } }
}

/** An attempt that is over, and what is to follow. */
interface Ended {
  readonly outcome: Outcome
  readonly next: NextAttempt
  /** What is handed out unless there is another attempt; undefined if this one failed. */
  readonly answer: { readonly response: OwnedResponse | undefined | null } | undefined
}

/** The only thing p-retry is ever thrown: of other errors it would make up its own mind, and try again on the strength of the attempt before. */
class Failed extends Error {}

export class RetriedCall {
  readonly #settings: RetrySettings
  readonly #send: Attempt
  readonly #replay: Replay
  readonly #since: number
  readonly #errors: unknown[] = []
  #attempt = 0
  #waited = 0
  #gaveUp: GaveUp | undefined
  #previous: Outcome | undefined
  #url: string

  /** @param since when the call began (`performance.now()`) */
  constructor(settings: RetrySettings, send: Attempt, replay: Replay, since: number) {
    this.#settings = settings
    this.#send = send
    this.#replay = replay
    this.#since = since
    this.#url = replay.url
  }

  /** @param sent the first attempt, if it has been made */
  async run(sent?: Promise<OwnedResponse>): Promise<OwnedResponse> {
    const first = await this.#try(sent)
    if (!first.next.retry) return this.#conclude(first)
    const { maxAttempts } = this.#settings.policy as RetryPolicy
    let last = first
    let thrown: { readonly error: unknown } | undefined
    try {
      await pRetry(
        async (number) => {
          try {
            if (number > 1) last = await this.#try()
          } catch (error) {
            thrown = { error }
            return
          }
          if (last.next.retry) throw new Failed()
        },
        {
          retries: maxAttempts - 1,
          // It cannot be told how long to wait, so the wait is ours.
          minTimeout: 0,
          shouldRetry: () => this.#prepare(last),
        },
      )
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      if (this.#attempt === maxAttempts) this.#giveUp(last.outcome, 'attempts')
    }
    if (thrown !== undefined) throw thrown.error
    return this.#conclude(last)
  }

  async #try(sent?: Promise<OwnedResponse>): Promise<Ended> {
    this.#attempt++
    const { policy, hedge, closing, destroyed } = this.#settings
    let answer: Ended['answer']
    let error: unknown
    try {
      answer = { response: await (sent ?? (hedge === undefined ? this.#request() : this.#hedge(hedge))) }
    } catch (thrown) {
      error = thrown
    }
    const response = answer?.response ?? undefined
    const facts = {
      attempt: this.#attempt,
      url: this.#url,
      error,
      elapsed: performance.now() - this.#since,
      waited: this.#waited,
      previous: this.#previous,
    }
    const outcome = (this.#previous = new Outcome(this.#replay, facts, response))
    // The caller, the client or the limit for everything has ended it; or it is half a Response, of which nobody can tell.
    const isOver =
      this.#replay.signal?.aborted === true ||
      closing.aborted ||
      (answer !== undefined && isHalf(response)) ||
      (error instanceof TimeoutError && error.phase === 'total')
    if (policy === undefined || isOver) return { outcome, next: stop, answer }
    try {
      const next = policy.next(outcome)
      return {
        outcome,
        answer,
        next: next instanceof Promise ? await unlessEnded(next, this.#ends(destroyed)) : next,
      }
    } catch (thrown) {
      await dispose(response)
      throw thrown
    }
  }

  async #request(signal?: AbortSignal): Promise<OwnedResponse> {
    const made = this.#replay.next(this.#url)
    const { input, init } = made instanceof Promise ? await this.#made(made) : made
    return this.#send(input, signal === undefined ? init : { ...init, signal }, this.#since)
  }

  /** Whoever makes a body may do so too late, or for a client that sends nothing more: then it is given up. */
  async #made(made: Promise<Sendable>): Promise<Sendable> {
    try {
      return await unlessEnded(made, this.#ends(this.#settings.closing))
    } catch (error) {
      made.then(giveUp, () => {})
      throw error
    }
  }

  #hedge(after: number): Promise<OwnedResponse> {
    const { method, isRepeatable, signal } = this.#replay
    if (!idempotent.has(method) || !isRepeatable) return this.#request()
    const { budget, counts, closing } = this.#settings
    const isAllowed = (): boolean => {
      const allowed = !closing.aborted && (budget?.withdraw() ?? true)
      if (allowed) counts.hedged++
      return allowed
    }
    return hedged(
      (own) => this.#request(own),
      signal,
      after,
      isAllowed,
      (response) => (response?.status ?? Infinity) < 500,
    )
  }

  /** True once the next attempt may be sent: everything of the last one is given up by then. */
  async #prepare({ outcome, next }: Ended): Promise<boolean> {
    if (!next.retry) return false
    const { signal, isRepeatable } = this.#replay
    if (signal?.aborted) throw signal.reason
    const { budget, closing, counts, policy, total } = this.#settings
    // While a policy made up its mind: what there is is handed out.
    if (closing.aborted) return false
    if (!isRepeatable) return this.#giveUp(outcome, 'body')
    if (performance.now() - this.#since + next.wait >= total) return this.#giveUp(outcome, 'total')
    if (budget?.withdraw(outcome) === false) return this.#giveUp(outcome, 'budget')
    counts.made++
    this.#publish(outcome, next.wait, undefined)
    const { response, error } = outcome
    this.#errors.push(
      response === undefined ? error : new RetriedResponseError(response.status, redactUrl(outcome.url)),
    )
    try {
      policy?.onRetry?.(noticeOf(outcome, next.wait))
    } finally {
      await dispose(response)
    }
    await sleep(next.wait, this.#ends(closing))
    this.#waited = next.wait
    this.#url = next.url ?? this.#replay.url
    return true
  }

  #conclude({ outcome, next, answer }: Ended): OwnedResponse {
    const { error } = outcome
    if (!next.retry && next.because !== undefined) this.#giveUp(outcome, next.because)
    if (answer !== undefined) {
      if (!next.retry && answer.response) this.#settings.budget?.settle?.(outcome)
      // Of a mock that answers with nothing, just that.
      return answer.response as OwnedResponse
    }
    const isOurs = this.#replay.signal?.aborted !== true && error instanceof Error
    const final = this.#gaveUp === 'body' ? new BodyNotReplayableError(error) : error
    if (isOurs && this.#errors.length > 0) {
      Object.assign(final as Error, {
        errors: this.#errors,
        attempts: this.#attempt,
        elapsed: outcome.elapsed,
      })
    }
    throw final
  }

  /** @param over aborts when the client ends what waits now */
  #ends(over: AbortSignal): Ends {
    const { total } = this.#settings
    const { signal, method } = this.#replay
    const late = (): Error => new TimeoutError('total', total, method, redactUrl(this.#url))
    return { signal, closing: over, end: this.#since + total, late }
  }

  #giveUp(outcome: AttemptOutcome, why: GaveUp): false {
    this.#gaveUp = why
    this.#settings.counts.gaveUp[why]++
    this.#publish(outcome, undefined, why)
    return false
  }

  #publish({ url, method, attempt, response, code }: AttemptOutcome, wait?: number, gaveUp?: GaveUp): void {
    const { client } = this.#settings
    publish('drained:retry', () => {
      const { origin = '', pathname = '', search = '' } = URL.parse(url) ?? {}
      const path = redactUrl(pathname + search)
      return { client, origin, method, path, attempt, status: response?.status, code, wait, gaveUp }
    })
  }
}
