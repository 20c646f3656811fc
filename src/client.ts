/**
 * createClient: one remote service, one bounded pool. Read it first: it names every part in the order a request passes them.
 *
 *     client.fetch → retry/ (attempts) → fetch/ (the short lane, or undici's own fetch) → wire/drain (one Body per response) → wire/agent → socket
 */
import { type Dispatcher, getGlobalDispatcher } from 'undici'
import { baseOf } from './fetch/address.ts'
import { type CallDefaults, type Fetch, type FetchInit, fetchOn, type Route, routeTo } from './fetch/fetch.ts'
import { Retries, type RetryStats } from './retry/retries.ts'
import type { Attempt } from './retry/retry.ts'
import { clientDefaults, type ClientOptions, resolveClient } from './options.ts'
import { createAgent } from './wire/agent.ts'
import { createDrain } from './wire/drain.ts'
import type { WireStats } from './wire/stats.ts'

/** What `client.stats()` returns: a plain object, a copy, never updated. */
export interface ClientStats extends WireStats {
  readonly retries: RetryStats
}

/** Options by the dispatcher they made: adapters hold what an SDK asks for against them. */
const madeWith = new WeakMap<Dispatcher, ClientOptions>()

/** @internal What a client's dispatcher was made with; a dispatcher of somebody else's decides for itself. */
export const optionsOf = (dispatcher: Dispatcher): ClientOptions => madeWith.get(dispatcher) ?? { dispatcher }

/** One remote service with its own bounded pool. */
export interface Client {
  readonly name: string
  /** Drop-in `fetch` on this client's pool. Read, cancel or forget the body: its socket comes back. */
  readonly fetch: Fetch
  /** The undici dispatcher below, for `undici.request`, SDKs and composition. Bodies on it have the same contract. */
  readonly dispatcher: Dispatcher
  /** What is open, waiting, held and ended now: a copy, never updated. */
  stats(): ClientStats
  /**
   * Takes no new request, ends drains at once, gives bodies nobody touches up after `drain.stall`, and waits for the
   * responses being read. A dispatcher of your own stays open, and is not waited for.
   */
  close(): Promise<void>
  /** Ends everything now; readers get `error`. A dispatcher of your own stays open. */
  destroy(error?: Error): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * A client for one remote service.
 * @throws InvalidOptionError naming the option, its value and what is accepted; unknown names are refused.
 */
export function createClient(options?: ClientOptions): Client {
  const resolved = resolveClient(options)
  const { name, origin, headers, timeout, maxResponseSize = Infinity } = resolved
  const { dispatcher: pool, owned } = createAgent(resolved)
  const limit = owned ? (resolved.connections ?? clientDefaults.connections) : undefined
  const drain = createDrain(resolved.drain, name, limit)
  const dispatcher = drain.over(pool, owned)
  madeWith.set(dispatcher, resolved)
  const defaults: CallDefaults = {
    origin: origin === undefined ? undefined : baseOf(origin),
    headers,
    timeouts: Object.keys(timeout).length === 0 ? undefined : timeout,
    maxResponseSize,
    busy: (at) => drain.busy(at, owned),
  }
  const retries = new Retries(name, { ...defaults, retry: resolved.retry, hedge: resolved.hedge })
  /** Of calls on another dispatcher. */
  const elsewhere: CallDefaults = { ...defaults, busy: (at) => drain.busy(at, false) }
  const own = routeTo(dispatcher, owned)
  const routes = new WeakMap<Dispatcher, Route>()

  /** The same for the same dispatcher: a call does not pay for finding out what is behind it. */
  function routeOf(chosen: Dispatcher): Route {
    let route = routes.get(chosen)
    if (route === undefined) routes.set(chosen, (route = routeTo(drain.over(chosen), false)))
    return route
  }

  /** undici rejects the close of what is gone; `await using` closes again after whoever did it by hand. */
  let ended: Promise<void> | undefined

  async function end(): Promise<void> {
    drain.stop()
    if (owned) await pool.close()
  }

  async function destroy(error?: Error): Promise<void> {
    drain.destroy(error)
    if (owned) await pool.destroy(error ?? null)
  }

  const close = (): Promise<void> => (ended ??= end())

  return {
    name,
    dispatcher,
    fetch(input: string | URL | Request, init?: FetchInit | RequestInit) {
      const given = init as FetchInit | undefined
      const chosen = chosenBy(given)
      const route = chosen === undefined ? own : routeOf(chosen)
      const added = chosen === undefined ? defaults : elsewhere
      if (!retries.concern(given)) return fetchOn(route, input, given, added)
      const attempt: Attempt = (target, each, since) => fetchOn(route, target, each, added, since)
      return retries.run(attempt, input, given)
    },
    stats: () => ({ ...drain.stats(), retries: retries.stats() }),
    close,
    destroy(error) {
      const destroyed = destroy(error)
      ended ??= destroyed
      return destroyed
    },
    [Symbol.asyncDispose]: close,
  }
}

function chosenBy(init: FetchInit | undefined): Dispatcher | undefined {
  return init?.dispatcher ?? undefined
}

/** What stood in undici's global slot before the program could say anything; it is a default, not a choice. */
const initialDispatcher: Dispatcher | undefined = getGlobalDispatcher()

/** A global dispatcher the user has set: since then, or a MockAgent at any time. */
function globalChoice(): Dispatcher | undefined {
  const current = getGlobalDispatcher() as (Dispatcher & { isMockActive?: boolean }) | undefined
  return current !== initialDispatcher || current?.isMockActive === true ? current : undefined
}

let shared: Client | undefined

/**
 * Drop-in `fetch` on a client made on first use, with every option at its default. Calls go through `init.dispatcher` if given,
 * else through a dispatcher set with `setGlobalDispatcher`; the contract holds on those, too.
 */
export const fetch: Fetch = (input: string | URL | Request, init?: FetchInit | RequestInit) => {
  shared ??= createClient({ name: 'default' })
  const given = init as FetchInit | undefined
  const dispatcher = chosenBy(given) ?? globalChoice()
  return shared.fetch(input, dispatcher === undefined ? given : { ...given, dispatcher })
}
