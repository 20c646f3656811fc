/** Which Node this is. Says in one line if it is too old, before anything fails in a less friendly way. Imports nothing. */
const needed = [22, 19] as const
const numbers = (): number[] => process.versions.node.split('.').map(Number)
const [major = 0, minor = 0] = numbers()

if (major < needed[0] || (major === needed[0] && minor < needed[1])) {
  throw new Error(`drained needs Node.js ${needed.join('.')} or newer; this is ${process.versions.node}`)
}

/** Whether the agents of node:http know `proxyEnv`: before, they ignore it. */
export function agentsKnowProxies(): boolean {
  const [major = 0, minor = 0] = numbers()
  return major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21)
}

/** The same in words, for whoever asks for one. */
export const proxiesNeed = (): string =>
  `agents of node:http know proxies from Node 22.21 and 24.5 on; this is ${process.versions.node}`
