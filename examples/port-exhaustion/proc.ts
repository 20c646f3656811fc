/** Sockets of this machine towards one remote endpoint, as the kernel counts them (Linux; undefined elsewhere). */
import fs from 'node:fs'

export interface Sockets {
  readonly established: number
  readonly timeWait: number
}

/** By remote port; a client's TIME_WAIT is kept under the port it talked to. */
export function socketsTo(port: number): Sockets | undefined {
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
      const [, , remote = '', state] = line.trim().split(/\s+/)
      if (Number.parseInt(remote.split(':')[1] ?? '', 16) !== port) continue
      if (state === '01') established++
      if (state === '06') timeWait++
    }
  }
  return known ? { established, timeWait } : undefined
}
