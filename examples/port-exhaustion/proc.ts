/** Sockets of this machine towards a remote endpoint, as the kernel counts them (Linux; undefined elsewhere). */
import fs from 'node:fs'
import { parseTcp, type Socket } from '../../src/cli/doctor/tcp.ts'
import type { PortPair } from './task.ts'

export interface Sockets {
  readonly established: number
  readonly timeWait: number
}

/** By remote port; a client's TIME_WAIT is kept under the port it talked to. */
export function socketsTo(port: number): Sockets | undefined {
  return count(({ remote }) => remote.port === port)
}

/** Only these sockets: others of this machine may talk to the same remote port. */
export function socketsOf(pairs: readonly PortPair[]): Sockets | undefined {
  const known = new Set(pairs.map(([local, remote]) => `${local} ${remote}`))
  return count(({ local, remote }) => known.has(`${local.port} ${remote.port}`))
}

function count(matches: (socket: Socket) => boolean): Sockets | undefined {
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].filter((file) => fs.existsSync(file))
  if (tables.length === 0) return undefined
  const sockets = tables.flatMap((file) => parseTcp(fs.readFileSync(file, 'utf8'))).filter(matches)
  const inState = (wanted: Socket['state']): number => sockets.filter(({ state }) => state === wanted).length
  return { established: inState('ESTABLISHED'), timeWait: inState('TIME_WAIT') }
}
