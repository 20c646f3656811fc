/**
 * createClient: one remote service, one bounded pool. Read it first: it names every part in the order a request passes them.
 *
 *     client.fetch → fetch/ (the short lane, or undici's own fetch) → wire/drain (one Body per response) → wire/agent → socket
 *                  → fetch/foreign (with a fetch of somebody else's)     → wire/drain                      → wire/foreign → that fetch
 */
import type { Dispatcher } from 'undici'
import { type CallDefaults, type Fetch, type FetchInit, fetchOn, type Route, routeTo } from './fetch/fetch.ts'
import { fetchForeign } from './fetch/foreign.ts'
import type { OwnedResponse } from './fetch/response.ts'
import {
  clientDefaults,
  type ClientOptions,
  type FetchLike,
  type ResolvedClient,
  resolveClient,
} from './options.ts'
import { createAgent } from './wire/agent.ts'
import { createDrain, type Drain } from './wire/drain.ts'
import { createForeign } from './wire/foreign.ts'
import { chosenDispatcher } from './wire/global.ts'
import type { ClientStats } from './wire/stats.ts'

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
  const defaults: CallDefaults = {
    origin: origin === undefined ? undefined : String(origin),
    headers,
    timeouts: Object.keys(timeout).length === 0 ? undefined : timeout,
    maxResponseSize,
  }
  const drain = createDrain(resolved.drain, name, limitOf(resolved))
  const transport =
    resolved.fetch === undefined
      ? onPool(resolved, drain, defaults)
      : onFetch(resolved.fetch, drain, defaults)

  /** undici rejects the close of what is gone; `await using` closes again after whoever did it by hand. */
  let ended: Promise<void> | undefined

  async function end(): Promise<void> {
    drain.stop()
    await transport.close()
  }

  async function destroy(error?: Error): Promise<void> {
    drain.destroy(error)
    await transport.destroy(error)
  }

  const close = (): Promise<void> => (ended ??= end())

  return {
    name,
    dispatcher: transport.dispatcher,
    fetch: (input: string | URL | Request, init?: FetchInit | RequestInit) =>
      transport.attempt(input, init as FetchInit | undefined),
    stats: () => drain.stats(),
    close,
    destroy(error) {
      const destroyed = destroy(error)
      ended ??= destroyed
      return destroyed
    },
    [Symbol.asyncDispose]: close,
  }
}

/** How one attempt is made, and what has to be closed for it. */
interface Transport {
  readonly dispatcher: Dispatcher
  attempt(input: string | URL | Request, init: FetchInit | undefined): Promise<OwnedResponse>
  close(): Promise<void>
  destroy(error?: Error): Promise<void>
}

/** On connections of the client's own, or on a dispatcher it was given. */
function onPool(options: ResolvedClient, drain: Drain, defaults: CallDefaults): Transport {
  const { dispatcher: pool, owned } = createAgent(options)
  const dispatcher = drain.over(pool)
  const own = routeTo(dispatcher, owned)
  const routes = new WeakMap<Dispatcher, Route>()

  /** The same for the same dispatcher: a call does not pay for finding out what is behind it. */
  function routeOf(chosen: Dispatcher): Route {
    let route = routes.get(chosen)
    if (route === undefined) routes.set(chosen, (route = routeTo(drain.over(chosen), false)))
    return route
  }

  return {
    dispatcher,
    attempt(input, init) {
      const chosen = chosenBy(init)
      return fetchOn(chosen === undefined ? own : routeOf(chosen), input, init, defaults)
    },
    async close() {
      if (owned) await pool.close()
    },
    async destroy(error) {
      if (owned) await pool.destroy(error ?? null)
    },
  }
}

/** Through a fetch of somebody else's. */
function onFetch(fetch: FetchLike, drain: Drain, defaults: CallDefaults): Transport {
  const foreign = createForeign()
  const dispatch = drain.interceptor(foreign.dispatch)
  return {
    dispatcher: foreign.dispatcher,
    attempt: (input, init) => fetchForeign(dispatch, fetch, input, init, defaults),
    close: () => foreign.close(),
    destroy: async (error) => foreign.destroy(error),
  }
}

function limitOf(options: ResolvedClient): number | undefined {
  const isOwn = options.dispatcher === undefined && options.fetch === undefined
  return isOwn ? (options.connections ?? clientDefaults.connections) : undefined
}

function chosenBy(init: FetchInit | undefined): Dispatcher | undefined {
  return init?.dispatcher ?? undefined
}

let shared: Client | undefined
let installed: Client | undefined

/** @internal From now on the default `fetch` is this client's: the one of the whole process. */
export function shareWithAll(client: Client | undefined): void {
  installed = client
}

/**
 * Drop-in `fetch` on a client made on first use, with every option at its default, or on that of {@link install}. Calls go through
 * `init.dispatcher` if given, else through a dispatcher set with `setGlobalDispatcher`; the contract holds on those, too.
 */
export const fetch: Fetch = (input: string | URL | Request, init?: FetchInit | RequestInit) => {
  const client = installed ?? (shared ??= createClient({ name: 'default' }))
  const given = init as FetchInit | undefined
  const chosen = chosenBy(given) ?? chosenDispatcher()
  const dispatcher = chosen === installed?.dispatcher ? undefined : chosen
  return client.fetch(input, dispatcher === undefined ? given : { ...given, dispatcher })
}
