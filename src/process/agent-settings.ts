/** What a program has set of an agent of Node's own class, as options for one of ours. */
import type { Agent, AgentOptions } from 'node:http'

/** Milliseconds that Node's global agents keep an idle connection: nobody's choice. */
const nodeIdle = 5_000

/** Properties that an agent makes of options and that can be set later. */
const properties = [
  'agentKeepAliveTimeoutBuffer',
  'defaultPort',
  'keepAlive',
  'keepAliveMsecs',
  'maxCachedSessions',
  'maxFreeSockets',
  'maxSockets',
  'maxTotalSockets',
  'protocol',
  'scheduling',
]

type Settings = Record<string, unknown>

/**
 * Undefined if it does what one of ours would not: it has a method of its own, or an option ours does not know.
 * @param plain an agent of the same class, as Node makes it
 * @param known names of options
 */
export function settingsOf(agent: Agent, plain: Agent, known: readonly string[]): AgentOptions | undefined {
  if (Object.values(agent).some((value) => typeof value === 'function')) return undefined
  const { options } = agent as Agent & { options: Settings }
  const settings: Settings = {}
  for (const [name, value] of Object.entries(options)) {
    // Node adds a path of null to all.
    if (value === undefined || (name === 'path' && value === null)) continue
    if (!known.includes(name)) return undefined
    if (name !== 'timeout' || value !== nodeIdle) settings[name] = value
  }
  for (const name of properties) {
    const value = (agent as never as Settings)[name]
    if (value !== (options[name] ?? (plain as never as Settings)[name])) settings[name] = value
  }
  return settings
}
