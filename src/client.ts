/**
 * createClient: one remote service, one bounded pool. Read it first: it names every part in the order a request passes them.
 *
 *     client.fetch → retry/ (attempts) → fetch/ (the short lane, or undici's own fetch) → wire/drain (one Body per response) → wire/agent → socket
 *                                      → fetch/foreign (with a fetch of somebody else's) → wire/drain → wire/foreign → that fetch
 */
import { type Dispatcher, errors } from 'undici'
import type { Trace } from './call-site.ts'
import { baseOf } from './fetch/address.ts'
import { type CallDefaults, type Fetch, type FetchInit, fetchOn, type Route, routeTo } from './fetch/fetch.ts'
import { fetchForeign } from './fetch/foreign.ts'
import { spread } from './fetch/init.ts'
import type { OwnedResponse } from './fetch/response.ts'
import { Leaks } from './leaks.ts'
import { Retries, type RetryStats } from './retry/retries.ts'
import {
  clientDefaults,
  type ClientOptions,
  type FetchLike,
  type ResolvedClient,
  resolveClient,
  resolveDispatcher,
} from './options.ts'
import { createAgent } from './wire/agent.ts'
import { createDrain, type Drain } from './wire/drain.ts'
import { createForeign } from './wire/foreign.ts'
import { chosenDispatcher } from './wire/global.ts'
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
   * @throws BodyLeakedError with `leaks: 'throw'`, if a body was forgotten
   */
  close(): Promise<void>
  /** Ends everything now; readers get `error`. A dispatcher of your own stays open. Rejects with what a handler of yours throws then. */
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
  const { decompress = clientDefaults.decompress } = resolved
  const isOwn = resolved.dispatcher === undefined && resolved.fetch === undefined
  const limit = isOwn ? (resolved.connections ?? clientDefaults.connections) : undefined
  const leaks = resolved.leaks === 'off' ? undefined : new Leaks(name, resolved.leaks)
  const isAwaited = resolved.dispatcher === undefined
  const drain = createDrain(resolved.drain, {
    client: name,
    limit,
    warn: resolved.queue.warn,
    leaks,
    isAwaited,
  })
  const defaults: CallDefaults = {
    origin: origin === undefined ? undefined : baseOf(origin),
    headers,
    timeouts: Object.keys(timeout).length === 0 ? undefined : timeout,
    maxResponseSize,
    busy: (at) => drain.busy(at, isOwn),
    decompress,
    // Set by few calls, and there for all: one shape, which V8 reads several per cent faster.
    since: undefined,
    trace: undefined,
  }
  const retries = new Retries(name, { ...defaults, retry: resolved.retry, hedge: resolved.hedge })
  const transport =
    resolved.fetch === undefined
      ? onPool(resolved, drain, defaults)
      : onFetch(resolved.fetch, drain, defaults)

  /** undici rejects the close of what is gone; `await using` closes again after whoever did it by hand. */
  let ended: Promise<void> | undefined

  function fetch(input: Input, init?: FetchInit | RequestInit): Promise<OwnedResponse> {
    const given = init as FetchInit | undefined
    const trace = leaks?.trace(fetch, input)
    if (!retries.concern(given)) return transport.attempt(input, given, undefined, trace)
    const attempt: Transport['attempt'] =
      trace === undefined
        ? transport.attempt
        : (target, changed, since) => transport.attempt(target, changed, since, trace)
    return retries.run(attempt, input, given)
  }

  async function end(): Promise<void> {
    drain.stop()
    retries.close(new errors.ClientClosedError())
    // At once: a client that is destroyed meanwhile must not be closed after that.
    const closed = transport.close()
    const ends = await Promise.allSettled([closed, leaks?.conclude(closed)])
    for (const each of ends) if (each.status === 'rejected') throw each.reason
  }

  async function destroy(error?: Error): Promise<void> {
    try {
      drain.destroy(error)
    } finally {
      retries.destroy(error ?? new errors.ClientDestroyedError())
      await transport.destroy(error)
    }
  }

  const close = (): Promise<void> => (ended ??= end())

  return {
    name,
    dispatcher: transport.dispatcher,
    fetch,
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

type Input = string | URL | Request

/** How one attempt is made, and what has to be closed for it. */
interface Transport {
  readonly dispatcher: Dispatcher
  readonly attempt: (
    input: Input,
    init: FetchInit | undefined,
    since?: number,
    trace?: Trace,
  ) => Promise<OwnedResponse>
  close(): Promise<void>
  destroy(error?: Error): Promise<void>
}

/** On connections of the client's own, or on a dispatcher it was given. */
function onPool(options: ResolvedClient, drain: Drain, defaults: CallDefaults): Transport {
  const { dispatcher: pool, owned } = createAgent(options)
  const dispatcher = drain.over(pool, owned)
  madeWith.set(dispatcher, options)
  /** Of calls on another dispatcher. */
  const elsewhere: CallDefaults = { ...defaults, busy: (at) => drain.busy(at, false) }
  const own = routeTo(dispatcher, owned)
  const routes = new WeakMap<Dispatcher, Route>()

  /** The same for the same dispatcher: a call does not pay for finding out what is behind it. */
  function routeOf(chosen: Dispatcher): Route {
    let route = routes.get(chosen)
    if (route === undefined)
      routes.set(chosen, (route = routeTo(drain.over(resolveDispatcher(chosen)), false)))
    return route
  }

  return {
    dispatcher,
    attempt(input, init, since, trace) {
      const chosen = chosenBy(init)
      if (chosen === undefined) return fetchOn(own, input, init, defaults, since, trace)
      let route: Route
      try {
        route = routeOf(chosen)
      } catch (error) {
        return Promise.reject(error)
      }
      return fetchOn(route, input, init, elsewhere, since, trace)
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
    attempt: (input, init, since, trace) =>
      fetchForeign(dispatch, fetch, input, init, defaults, since, trace),
    close: () => foreign.close(),
    destroy: async (error) => foreign.destroy(error),
  }
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

/** @internal The client of the default `fetch`. */
export const sharedClient = (): Client => installed ?? (shared ??= createClient({ name: 'default' }))

/**
 * Drop-in `fetch` on a client made on first use, with every option at its default, or on that of {@link install}. Calls go through
 * `init.dispatcher` if given, else through a dispatcher set with `setGlobalDispatcher`; the contract holds on those, too.
 */
export const fetch: Fetch = (input: string | URL | Request, init?: FetchInit | RequestInit) => {
  const client = sharedClient()
  const given = init as FetchInit | undefined
  const chosen = chosenBy(given) ?? chosenDispatcher()
  const dispatcher = chosen === installed?.dispatcher ? undefined : chosen
  return client.fetch(input, dispatcher === undefined ? given : { ...spread(given), dispatcher })
}
