/** Sockets of this machine as the kernel counts them (Linux). */
import fs from 'node:fs'

/** Sockets in TIME_WAIT whose remote port this is: ours, towards the origin. */
export function socketsInTimeWait(port: number): number {
  const lines = ['tcp', 'tcp6'].flatMap((name) =>
    fs.readFileSync(`/proc/net/${name}`, 'utf8').split('\n').slice(1),
  )
  return lines.filter((line) => {
    const [, , remote = '', state] = line.trim().split(/\s+/)
    return state === '06' && Number.parseInt(remote.split(':')[1] ?? '', 16) === port
  }).length
}
