/** The retries of one client: its policy, its budget, what came of them, and which calls they concern. */
import { InvalidOptionError } from '../errors.ts'
import type { GaveUp } from '../events.ts'
import type { Base } from '../fetch/address.ts'
import type { FetchInit } from '../fetch/fetch.ts'
import { spread } from '../fetch/init.ts'
import type { OwnedResponse } from '../fetch/response.ts'
import { resolveCallTimeouts, type Timeouts } from '../options.ts'
import {
  type HedgeOptions,
  isPolicy,
  resolveHedge,
  type Retry,
  type RetryBudget,
  type RetryPolicy,
} from '../options/retry.ts'
import { OptionsPolicy, policyOf } from './policy.ts'
import { asGiven, type Input, replayOf } from './replay.ts'
import { type Attempt, RetriedCall, type RetrySettings } from './retry.ts'

/** What retries have come to, since the start. */
export interface RetryStats {
  /** Attempts after the first. */
  readonly made: number
  /** Second requests beside a slow first one. */
  readonly hedged: number
  /** Calls that ended with a failure that is worth a retry, by what was in its way. */
  readonly gaveUp: { readonly [K in GaveUp]: number }
  /** Retries the client's budget would allow now; undefined if it has none. */
  readonly budget: number | undefined
}

export class Retries {
  readonly #origin: Base | undefined
  readonly #timeouts: Timeouts | undefined
  readonly #closing = new AbortController()
  readonly #destroyed = new AbortController()
  /** Of policies given for single calls. */
  readonly #budgets = new WeakMap<RetryPolicy, { readonly budget: RetryBudget | undefined }>()
  readonly #counts = {
    made: 0,
    hedged: 0,
    gaveUp: { attempts: 0, total: 0, 'retry-after': 0, budget: 0, body: 0 },
  }

  /** Of calls without options of their own. */
  readonly #own: RetrySettings

  constructor(
    client: string,
    options: {
      readonly origin: Base | undefined
      readonly timeouts: Timeouts | undefined
      readonly retry: Retry | undefined
      readonly hedge: HedgeOptions | false | undefined
    },
  ) {
    const { origin, timeouts, retry, hedge } = options
    this.#origin = origin
    this.#timeouts = timeouts
    const policy = policyOf(retry)
    this.#own = {
      client,
      closing: this.#closing.signal,
      destroyed: this.#destroyed.signal,
      policy,
      hedge: resolveHedge(hedge),
      budget: (policy ?? new OptionsPolicy({})).createBudget?.(),
      total: timeouts?.total ?? Infinity,
      counts: this.#counts,
    }
  }

  /** False for a call that is sent once and has nothing to be made for it. */
  concern(init: FetchInit | undefined): boolean {
    return (
      this.#own.policy !== undefined ||
      this.#own.hedge !== undefined ||
      (init != null &&
        (init.retry !== undefined || init.hedge !== undefined || typeof init.body === 'function'))
    )
  }

  /** A call, with what its retries need; bad options reject, as fetch does. */
  run(send: Attempt, target: Input, init: FetchInit | undefined): Promise<OwnedResponse> {
    const since = performance.now()
    let settings: RetrySettings
    let given: FetchInit | undefined
    try {
      settings = this.#settingsOf(init ?? {})
      const isSentOnce = settings.policy === undefined && settings.hedge === undefined
      given = init == null ? init : isSentOnce ? spread(init) : asGiven(init)
    } catch (error) {
      return Promise.reject(error)
    }
    settings.budget?.deposit()
    const input = target instanceof URL ? target.href : target
    const follow = async (sent?: Promise<OwnedResponse>): Promise<OwnedResponse> =>
      new RetriedCall(settings, send, await replayOf(input, given, this.#origin), since).run(sent)
    if (!isBare(settings, input, given)) return follow()
    // Most calls are answered well, and nothing has to be made for them.
    const sent = send(input, given)
    return sent.then(
      (response) => ((response as OwnedResponse | undefined | null)?.ok ? response : follow(sent)),
      () => follow(sent),
    )
  }

  /** Ends what waits for its next attempt, since there will be none. What has its answer, or waits for it, gets it. */
  close(error: Error): void {
    this.#closing.abort(error)
  }

  /** Ends what is left. */
  destroy(error: Error): void {
    this.#closing.abort(error)
    this.#destroyed.abort(error)
  }

  stats(): RetryStats {
    return { ...this.#counts, gaveUp: { ...this.#counts.gaveUp }, budget: this.#own.budget?.left?.() }
  }

  #settingsOf({ retry, hedge, timeout }: FetchInit): RetrySettings {
    if (retry === undefined && hedge === undefined && timeout === undefined) return this.#own
    if (typeof retry === 'object' && !isPolicy(retry) && retry?.budget !== undefined)
      throw new InvalidOptionError(
        'init.retry.budget',
        'Option init.retry.budget is for a whole client only, since its calls share it',
      )
    const own = this.#own
    const policy = retry === undefined ? own.policy : policyOf(retry, 'init.retry', own.policy)
    const timeouts = timeout === undefined ? this.#timeouts : resolveCallTimeouts(timeout, this.#timeouts)
    return {
      ...own,
      policy,
      hedge: hedge === undefined ? own.hedge : resolveHedge(hedge, 'init.hedge'),
      budget: isPolicy(retry) ? this.#budgetOf(retry) : own.budget,
      total: timeouts?.total ?? Infinity,
    }
  }

  #budgetOf(policy: RetryPolicy): RetryBudget | undefined {
    let known = this.#budgets.get(policy)
    if (known === undefined) this.#budgets.set(policy, (known = { budget: policy.createBudget?.() }))
    return known.budget
  }
}

/** Only what is not answered well concerns its retries, and it can be sent as it is. */
function isBare(
  { policy, hedge, budget }: RetrySettings,
  input: Input,
  init: FetchInit | undefined,
): boolean {
  return (
    hedge === undefined &&
    policy?.asksAboutSuccess !== true &&
    budget?.settle === undefined &&
    typeof init?.body !== 'function' &&
    (typeof input === 'string' || input instanceof URL)
  )
}
