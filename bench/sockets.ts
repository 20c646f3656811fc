/** Sockets of this machine with a port, as the kernel counts them (Linux; undefined elsewhere). */
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Closed {
  /** In TIME_WAIT on the side of whoever connected, and of whoever listens on the port. */
  readonly client: number
  readonly server: number
  /** Neither open nor closed yet. */
  readonly closing: number
}

interface Socket {
  readonly id: string
  readonly state: string
  readonly isServer: boolean
}

const established = '01'
const timeWait = '06'
const listening = '0A'

function socketsWith(port: number): Socket[] | undefined {
  const found: Socket[] = []
  let known = false
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    if (!fs.existsSync(file)) continue
    known = true
    for (const line of fs.readFileSync(file, 'utf8').split('\n').slice(1)) {
      const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/)
      const isServer = portOf(local) === port
      if (isServer || portOf(remote) === port) found.push({ id: `${local} ${remote}`, state, isServer })
    }
  }
  return known ? found : undefined
}

const portOf = (address: string): number => Number.parseInt(address.split(':')[1] ?? '', 16)

/** Those in TIME_WAIT now: whoever had the port before us may have left some. */
export function leftBefore(port: number): ReadonlySet<string> {
  const waiting = (socketsWith(port) ?? []).filter(({ state }) => state === timeWait)
  return new Set(waiting.map(({ id }) => id))
}

/** Counts once everything that was closing has closed, or after three seconds. */
export async function closedSince(before: ReadonlySet<string>, port: number): Promise<Closed | undefined> {
  for (let tries = 30; ; tries--) {
    const sockets = socketsWith(port)
    if (sockets === undefined) return undefined
    const closing = sockets.filter(({ state }) => ![established, timeWait, listening].includes(state)).length
    if (closing > 0 && tries > 0) {
      await sleep(100)
      continue
    }
    const waiting = sockets.filter(({ id, state }) => state === timeWait && !before.has(id))
    const server = waiting.filter(({ isServer }) => isServer).length
    return { client: waiting.length - server, server, closing }
  }
}
