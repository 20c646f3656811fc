/** Options of an agent for node:http: ours beside Node's. */
import { InvalidOptionError } from '../errors.ts'
import { agentsKnowProxies, proxiesNeed } from '../node-version.ts'
import { anything, check, type Checks, object, text, withoutUndefined } from './check.ts'
import { clientDefaults } from './clients.ts'
import { type DrainOptions, type ResolvedDrain, resolveDrain } from './limits.ts'

/** Options of an agent for node:http beside Node's own. */
export interface DrainedAgentOptions {
  /** Name in statistics and events. @default 'agent' */
  name?: string
  /** Limits for bodies that nobody reads. */
  drain?: DrainOptions
}

export const agentDefaults = { name: 'agent', keepAlive: true } as const

/**
 * Checked options of an agent for node:http: ours, and those that are Node's, which Node itself checks.
 * @throws InvalidOptionError
 */
export function resolveAgent<T extends object>(
  options: T & DrainedAgentOptions,
  nodeNames: readonly string[],
): { name: string; drain: ResolvedDrain; node: T } {
  const checks = {
    name: text,
    drain: object,
    ...Object.fromEntries(nodeNames.map((name) => [name, anything])),
  }
  check('options', options, checks as unknown as Checks<T>)
  if ((options as { proxyEnv?: object }).proxyEnv && !agentsKnowProxies())
    throw new InvalidOptionError('proxyEnv', `Option proxyEnv cannot be used: ${proxiesNeed()}`)
  const { name = agentDefaults.name, drain, ...rest } = options
  return {
    name,
    drain: resolveDrain(drain),
    node: {
      keepAlive: agentDefaults.keepAlive,
      maxSockets: clientDefaults.connections,
      ...withoutUndefined(rest),
    } as unknown as T,
  }
}
