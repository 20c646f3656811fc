/** The agents of node:http and node:https for requests that name none. */
import http from 'node:http'
import https from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import { DrainedAgent, DrainedHttpsAgent } from '../adapters/node-http.ts'
import { httpOptions, httpsOptions } from '../adapters/node-http/node-options.ts'
import type { ResolvedInstall } from '../options.ts'
import { settingsOf } from './agent-settings.ts'
import type { Put } from './put.ts'

/** Both modules have it as a property that can be set; who imports it by name sees what is set. */
interface Module {
  globalAgent: http.Agent
}

/** One after another: what throws leaves those before it to be undone. */
export function* putAgents({ connections, keepAlive, drain, proxy, tls }: ResolvedInstall): Generator<Put> {
  const ours = {
    ...(connections === undefined ? undefined : { maxSockets: connections }),
    // Node's name for how long an idle connection is kept.
    ...(keepAlive === undefined ? undefined : { timeout: keepAlive }),
    ...(drain === undefined ? undefined : { drain }),
    ...(proxy === undefined ? undefined : { proxyEnv: environmentOf(proxy) }),
  }
  yield* put(
    http,
    http.Agent,
    httpOptions,
    (theirs) => new DrainedAgent({ ...theirs, ...ours, name: 'http' }),
  )
  yield* put(
    https,
    https.Agent,
    httpsOptions,
    (theirs) => new DrainedHttpsAgent({ ...theirs, ...ours, ...tls, name: 'https' }),
  )
}

/** What Node's agents read their proxy from. */
function environmentOf(proxy: NonNullable<ResolvedInstall['proxy']>): NodeJS.ProcessEnv | undefined {
  if (proxy === 'env') return process.env
  return proxy === false ? undefined : { HTTP_PROXY: String(proxy), HTTPS_PROXY: String(proxy) }
}

/** An agent of another class is somebody's choice, and stays; so does one whose settings cannot be carried over. */
function put(
  module: Module,
  Known: typeof http.Agent,
  options: readonly string[],
  create: (settings: http.AgentOptions) => DrainedAgent | DrainedHttpsAgent,
): Put[] {
  const before = module.globalAgent
  if (before.constructor !== Known) return []
  const settings = settingsOf(before, new Known(), options)
  if (settings === undefined) return []
  const agent = create(settings)
  for (const listener of before.listeners('keylog')) agent.on('keylog', listener as () => void)
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
