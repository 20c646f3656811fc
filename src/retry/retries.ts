/** The retries of one client: its policy, its budget, what came of them, and which calls they concern. */
import { InvalidOptionError } from '../errors.ts'
import { type FetchInit, timeoutsOf } from '../fetch/fetch.ts'
import type { OwnedResponse } from '../fetch/response.ts'
import type { Timeouts } from '../options.ts'
import {
  type HedgeOptions,
  isPolicy,
  resolveHedge,
  type Retry,
  type RetryBudget,
  type RetryPolicy,
} from '../options/retry.ts'
import { OptionsPolicy, policyOf } from './policy.ts'
import { type Input, replayOf } from './replay.ts'
import { type Attempt, RetriedCall, type RetrySettings } from './retry.ts'

/** Why a call that could have been tried again was not. */
export type GaveUp = 'attempts' | 'total' | 'retry-after' | 'budget' | 'body'

/** What retries have come to, since the start. */
export interface RetryStats {
  /** Attempts after the first. */
  readonly made: number
  /** Second requests beside a slow first one. */
  readonly hedged: number
  /** Calls that ended with a failure that is worth a retry, by what was in its way. */
  readonly gaveUp: { readonly [K in GaveUp]: number }
}

export class Retries {
  readonly #client: string
  readonly #origin: string | undefined
  readonly #timeouts: Timeouts | undefined
  readonly #policy: RetryPolicy | undefined
  readonly #hedge: number | undefined
  /** For all calls whose policy does not bring its own. */
  readonly #budget: RetryBudget | undefined
  /** Of policies given for single calls. */
  readonly #budgets = new WeakMap<RetryPolicy, { readonly budget: RetryBudget | undefined }>()
  readonly #counts = {
    made: 0,
    hedged: 0,
    gaveUp: { attempts: 0, total: 0, 'retry-after': 0, budget: 0, body: 0 },
  }

  constructor(
    client: string,
    options: {
      readonly origin: string | undefined
      readonly timeouts: Timeouts | undefined
      readonly retry: Retry | undefined
      readonly hedge: HedgeOptions | false | undefined
    },
  ) {
    this.#client = client
    this.#origin = options.origin
    this.#timeouts = options.timeouts
    this.#policy = policyOf(options.retry)
    this.#hedge = resolveHedge(options.hedge)
    this.#budget = (this.#policy ?? new OptionsPolicy({})).createBudget?.()
  }

  /** False for a call that is sent once and has nothing to be made for it. */
  concern(init: FetchInit | undefined): boolean {
    return (
      this.#policy !== undefined ||
      this.#hedge !== undefined ||
      (init != null &&
        (init.retry !== undefined || init.hedge !== undefined || typeof init.body === 'function'))
    )
  }

  /** @throws InvalidOptionError in what it returns, as fetch does */
  async run(send: Attempt, input: Input, init: FetchInit | undefined): Promise<OwnedResponse> {
    const since = performance.now()
    const settings = this.#settings(send, init ?? {})
    const replay = replayOf(input, init, this.#origin)
    return new RetriedCall(settings, replay instanceof Promise ? await replay : replay, since).run()
  }

  stats(): RetryStats {
    return { ...this.#counts, gaveUp: { ...this.#counts.gaveUp } }
  }

  #settings(send: Attempt, { retry, hedge, timeout }: FetchInit): RetrySettings {
    if (typeof retry === 'object' && !isPolicy(retry) && retry?.budget !== undefined)
      throw new InvalidOptionError(
        'init.retry.budget',
        'Option init.retry.budget is for a whole client only, since its calls share it',
      )
    const policy = retry === undefined ? this.#policy : policyOf(retry, 'init.retry', this.#policy)
    const timeouts = timeout === undefined ? this.#timeouts : timeoutsOf(timeout, this.#timeouts)
    return {
      client: this.#client,
      send,
      policy,
      hedge: hedge === undefined ? this.#hedge : resolveHedge(hedge, 'init.hedge'),
      budget: isPolicy(retry) ? this.#budgetOf(retry) : this.#budget,
      total: timeouts?.total ?? Infinity,
      counts: this.#counts,
    }
  }

  #budgetOf(policy: RetryPolicy): RetryBudget | undefined {
    let known = this.#budgets.get(policy)
    if (known === undefined) this.#budgets.set(policy, (known = { budget: policy.createBudget?.() }))
    return known.budget
  }
}
