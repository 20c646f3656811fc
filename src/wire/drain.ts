/**
 * The interceptor: puts a {@link Body} between every response and its reader, so that no socket is held by a body nobody
 * reads. Works on any undici dispatcher, alone or under other interceptors.
 */
import { type Dispatcher, Dispatcher1Wrapper, errors } from 'undici'
import type { BusyPool } from '../errors.ts'
import { forAll } from '../for-all.ts'
import { Leaks } from '../leaks.ts'
import {
  clientDefaults,
  type DrainOptions,
  queueDefaults,
  type ResolvedDrain,
  resolveDrain,
} from '../options.ts'
import { Body } from './body.ts'
import type { Scope } from './origin.ts'
import { Origins } from './origins.ts'
import { watchSockets } from './sockets.ts'
import type { WireStats } from './stats.ts'

/** Handlers of the old interface (Node 24's own fetch passes them) in the shape of the new one. Missing in undici's types. */
const { wrapHandler } = Dispatcher1Wrapper as unknown as {
  wrapHandler(this: void, handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler
}

/** On a dispatcher that has an interceptor of a client, by any copy of this library; whatever is composed on it has it, too. */
const mark = Symbol.for('drained.dispatcher')

/** Proxied as undici's own compose does it, so that everything else is done by the dispatcher itself. */
const withOwn = (dispatcher: Dispatcher, own: PropertyKey, value: unknown): Dispatcher =>
  new Proxy(dispatcher, {
    get: (target, key) => (key === own ? value : (Reflect.get(target, key, target) as unknown)),
  })

/** Also where there is no `compose` for it: whatever can dispatch is a dispatcher to undici's fetch. */
function compose(dispatcher: Dispatcher, interceptor: Dispatcher.DispatcherComposeInterceptor): Dispatcher {
  const { compose: own } = dispatcher as Partial<Dispatcher>
  if (typeof own === 'function') return dispatcher.compose(interceptor)
  return withOwn(dispatcher, 'dispatch', interceptor(dispatcher.dispatch.bind(dispatcher)))
}

/** One interceptor with its numbers. */
export interface Drain {
  readonly interceptor: Dispatcher.DispatcherComposeInterceptor
  /**
   * The same dispatcher with this interceptor, always the same object for the same one; one that has it already is left alone.
   * @param isOwn the pool whose limit was given, with nothing between it and this interceptor
   */
  over(dispatcher: Dispatcher, isOwn?: boolean): Dispatcher
  stats(): WireStats
  /**
   * Who holds the connections to an origin.
   * @param isOwn those of the pool whose limit was given, or of other dispatchers
   */
  busy(origin: string, isOwn: boolean): BusyPool | undefined
  /** Takes no new request and drains no more: drains under way are closed, untouched bodies are given up after `stall`. */
  stop(): void
  /**
   * Gives up every request and every body, and ends drains.
   * @throws what a handler throws that hears of it, once all have
   */
  destroy(error?: Error): void
}

/** @internal */
export function createDrain(
  limits: ResolvedDrain,
  of: Pick<Scope, 'client' | 'limit' | 'warn' | 'leaks' | 'isAwaited'>,
): Drain {
  watchSockets()
  const scope: Scope = { ...of, stall: limits.stall, closing: false, error: undefined }
  const origins = new Origins(scope)

  const intercept = (dispatch: Dispatcher['dispatch'], isPooled: boolean): Dispatcher['dispatch'] =>
    function drained(opts, handler) {
      // Composed twice: the inner one has nothing left to do.
      if (handler instanceof Body) return dispatch(opts, handler)
      const modern = wrapHandler(handler)
      if (scope.closing) {
        modern.onResponseError?.(null as never, scope.error ?? new errors.ClientClosedError())
        return false
      }
      const name = String(opts.origin ?? '')
      const origin = origins.of(name)
      const complete = withDefaults(opts, modern !== handler)
      const body = new Body(dispatch, complete, modern, origin, limits, isPooled)
      body.announce()
      if (origin.isWorthWaiting) {
        origin.defer(body)
        return true
      }
      return body.send(true)
    }

  const composed = new WeakMap<Dispatcher, Dispatcher>()

  return {
    interceptor: (dispatch) => intercept(dispatch, false),
    over(dispatcher, isOwn = false) {
      if ((dispatcher as { [mark]?: true })[mark]) return dispatcher
      let mine = composed.get(dispatcher)
      if (mine === undefined) {
        const drained = compose(dispatcher, (dispatch) => intercept(dispatch, isOwn))
        mine = withOwn(drained, mark, true)
        composed.set(dispatcher, mine)
      }
      return mine
    },
    busy: (origin, isOwn) => origins.known(origin)?.busy(isOwn),
    stats: () => origins.stats(),
    stop() {
      scope.closing = true
      for (const origin of origins.all()) origin.stop()
    },
    destroy(error = new errors.ClientDestroyedError()) {
      scope.closing = true
      scope.error = error
      forAll(origins.all(), (origin) => origin.destroy(error))
    },
  }
}

/**
 * An undici interceptor that gives the contract of this library to any dispatcher: `new Agent().compose(drain())`.
 * It sees only whether the wire is paused, not whether a Response was touched; a client's own `fetch` knows both.
 * @throws InvalidOptionError
 */
export function drain(options?: DrainOptions): Dispatcher.DispatcherComposeInterceptor {
  const limits = resolveDrain(options)
  const client = 'drain()'
  return createDrain(limits, {
    client,
    limit: undefined,
    warn: queueDefaults.warn,
    leaks: new Leaks(client, clientDefaults.leaks),
    isAwaited: false,
  }).interceptor
}

function withDefaults(opts: Dispatcher.DispatchOptions, isLegacy: boolean): Dispatcher.DispatchOptions {
  const wantsReset = opts.method === 'HEAD' && opts.reset === undefined
  const isPlain = String(opts.origin).startsWith('http:')
  const isApart = isPlain && (opts as { allowH2?: boolean }).allowH2 === false
  const rulesOut = isLegacy && !isPlain
  if (!wantsReset && !rulesOut && !isApart) return opts
  return {
    ...opts,
    // undici closes after every HEAD unless told not to; a connection per HEAD is what exhausts ports.
    ...(wantsReset ? { reset: false } : undefined),
    // Handlers of the old interface cannot take HTTP/2 responses.
    ...(rulesOut ? { allowH2: false } : undefined),
    // Where there is no HTTP/2 anyway, to rule it out would only give Node's fetch a pool apart.
    ...(isApart ? { allowH2: undefined } : undefined),
  }
}
