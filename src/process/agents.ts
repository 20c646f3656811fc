/** The agents of node:http and node:https for requests that name none. */
import http from 'node:http'
import https from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import { DrainedAgent, DrainedHttpsAgent } from '../adapters/node-http.ts'
import type { ResolvedInstall } from '../options.ts'
import type { Put } from './put.ts'

/** Both modules have it as a property that can be set; who imports it by name sees what is set. */
interface Module {
  globalAgent: http.Agent
}

/** One after another: what throws leaves those before it to be undone. */
export function* putAgents({ connections, keepAlive, drain, proxy, tls }: ResolvedInstall): Generator<Put> {
  const { options } = http.globalAgent as { options?: { proxyEnv?: NodeJS.ProcessEnv } }
  const shared = {
    ...(connections === undefined ? undefined : { maxSockets: connections }),
    // Node's name for how long an idle connection is kept.
    ...(keepAlive === undefined ? undefined : { timeout: keepAlive }),
    ...(drain === undefined ? undefined : { drain }),
    proxyEnv: proxy === undefined ? options?.proxyEnv : environmentOf(proxy),
  } as http.AgentOptions
  yield* put(http, http.Agent, () => new DrainedAgent({ ...shared, name: 'http' }))
  yield* put(https, https.Agent, () => new DrainedHttpsAgent({ ...shared, ...tls, name: 'https' }))
}

/** What Node's agents read their proxy from. */
function environmentOf(proxy: NonNullable<ResolvedInstall['proxy']>): NodeJS.ProcessEnv | undefined {
  if (proxy === 'env') return process.env
  return proxy === false ? undefined : { HTTP_PROXY: String(proxy), HTTPS_PROXY: String(proxy) }
}

/** An agent of another class is somebody's choice, and stays. */
function put(
  module: Module,
  known: typeof http.Agent,
  create: () => DrainedAgent | DrainedHttpsAgent,
): Put[] {
  const before = module.globalAgent
  if (before.constructor !== known) return []
  const agent = create()
  set(module, agent)
  return [
    {
      stats: { [agent.stats().name]: () => agent.stats() },
      undo() {
        if (module.globalAgent === agent) set(module, before)
      },
    },
  ]
}

function set(module: Module, agent: http.Agent): void {
  module.globalAgent = agent
  syncBuiltinESMExports()
}
