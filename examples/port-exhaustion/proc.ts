/** Sockets of this machine towards a remote endpoint, as the kernel counts them (Linux; undefined elsewhere). */
import fs from 'node:fs'
import type { PortPair } from './task.ts'

export interface Sockets {
  readonly established: number
  readonly timeWait: number
}

/** By remote port; a client's TIME_WAIT is kept under the port it talked to. */
export function socketsTo(port: number): Sockets | undefined {
  return count((_, remote) => remote === port)
}

/** Only these sockets: others of this machine may talk to the same remote port. */
export function socketsOf(pairs: readonly PortPair[]): Sockets | undefined {
  const known = new Set(pairs.map(([local, remote]) => `${local} ${remote}`))
  return count((local, remote) => known.has(`${local} ${remote}`))
}

function count(matches: (local: number, remote: number) => boolean): Sockets | undefined {
  let [established, timeWait, known] = [0, 0, false]
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let text: string
    try {
      text = fs.readFileSync(file, 'utf8')
    } catch {
      continue
    }
    known = true
    for (const line of text.split('\n').slice(1)) {
      const [, local = '', remote = '', state] = line.trim().split(/\s+/)
      if ((state !== '01' && state !== '06') || !matches(portOf(local), portOf(remote))) continue
      if (state === '01') established++
      else timeWait++
    }
  }
  return known ? { established, timeWait } : undefined
}

const portOf = (address: string): number => Number.parseInt(address.split(':')[1] ?? '', 16)
