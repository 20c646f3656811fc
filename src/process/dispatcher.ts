/** undici's global dispatcher, and through it undici's functions and Node's own fetch, on one client. */
import http from 'node:http'
import { type Dispatcher, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { type Client, createClient, shareWithAll } from '../client.ts'
import { type ClientOptions, refuseConnectionOptions, type ResolvedInstall } from '../options.ts'
import { chosenDispatcher } from '../wire/global.ts'
import type { Put } from './put.ts'

export function putDispatcher(options: ResolvedInstall): Put {
  const client = createProcessClient(options)
  const before = getGlobalDispatcher()
  const legacyBefore = legacy.get()
  setGlobalDispatcher(client.dispatcher)
  // Set by an older copy of undici, which shares only this slot: somebody's choice, and no place for an interceptor of ours.
  if (isChosenLegacy(legacyBefore, before)) legacy.set(legacyBefore)
  const ours = legacy.get()
  shareWithAll(client)
  return {
    stats: { process: () => client.stats() },
    undo() {
      shareWithAll(undefined)
      if (getGlobalDispatcher() !== client.dispatcher) return
      const current = legacy.get()
      setGlobalDispatcher(before)
      legacy.set(current === ours ? legacyBefore : current)
    },
  }
}

function createProcessClient({ fetch: _fetch, http: _http, ...options }: ResolvedInstall): Client {
  const chosen = chosenDispatcher()
  const hasEnvProxy = nodeUsesEnvProxy()
  if (chosen !== undefined && !(hasEnvProxy && chosen.constructor.name === 'EnvHttpProxyAgent')) {
    refuseConnectionOptions(options)
    return createClient({ name: 'process', dispatcher: chosen, ...options })
  }
  const proxy: ClientOptions = hasEnvProxy ? { proxy: 'env' } : {}
  return createClient({ name: 'process', ...proxy, ...options })
}

/** `--use-env-proxy` or NODE_USE_ENV_PROXY: Node's own fetch and agents read HTTP_PROXY and its like. */
export function nodeUsesEnvProxy(): boolean {
  return (http.globalAgent as { options?: { proxyEnv?: object } }).options?.proxyEnv !== undefined
}

/** The slot of undici before 8, and of the fetch of Node before 26. */
const legacy = {
  key: Symbol.for('undici.globalDispatcher.1'),
  get(): Dispatcher | undefined {
    return (globalThis as Record<symbol, Dispatcher | undefined>)[this.key]
  },
  set(dispatcher: Dispatcher | undefined): void {
    ;(globalThis as Record<symbol, Dispatcher | undefined>)[this.key] = dispatcher
  },
}

/** By default it has the same as the new slot, as it is or in a wrapper; or whatever Node's flag for proxies has put there. */
function isChosenLegacy(dispatcher: Dispatcher | undefined, modern: Dispatcher): boolean {
  return (
    dispatcher !== undefined &&
    dispatcher !== modern &&
    dispatcher.constructor.name !== 'Dispatcher1Wrapper' &&
    !(nodeUsesEnvProxy() && dispatcher.constructor.name === 'EnvHttpProxyAgent')
  )
}
