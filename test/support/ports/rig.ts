/**
 * A machine with 100 ports: server and client in a network namespace of their own. It has no name and is gone with its last
 * process, however that ends.
 */
import { spawn, spawnSync } from 'node:child_process'
import path from 'node:path'
import type { ClientName } from './caller.ts'

export const portCount = 100

/** What became of the calls of one client. */
export interface Outcome {
  readonly done: number
  readonly failed: number
  /** Number of the first call that failed, from 1, and the code of its error. */
  readonly firstFailure: { readonly call: number; readonly code: string } | undefined
  /** Connections the server accepted. */
  readonly accepted: number
  readonly ms: number
}

/** `ip_local_port_range` is of the namespace; a port in TIME_WAIT is not used again before its time. */
const setUp = `
  ip link set lo up &&
  echo "40000 ${40_000 + portCount - 1}" >/proc/sys/net/ipv4/ip_local_port_range &&
  echo 0 >/proc/sys/net/ipv4/tcp_tw_reuse &&
  exec "$@"`

const inNamespace = (...command: string[]): string[] => ['--net', '--', 'sh', '-c', setUp, 'sh', ...command]

/** Why there can be no such machine here; undefined where there can. */
export function whyNot(): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', inNamespace('true'), { encoding: 'utf8' })
  if (status === 0) return undefined
  return `it takes Linux, root, unshare and ip: ${error?.message ?? stderr.trim()}`
}

/** 2,000 calls of each kind, one kind after another; a client that keeps failing is stopped. */
export async function onFewPorts(client: ClientName, each = 2_000): Promise<Outcome> {
  const caller = path.join(import.meta.dirname, 'caller.ts')
  const child = spawn('unshare', inNamespace(process.execPath, caller, client, String(each)), {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (log += text))
  return await new Promise((resolve, reject) => {
    child.once('message', (outcome) => resolve(outcome as Outcome))
    child.once('exit', (code) => reject(new Error(`${client}: its process ended with ${code}\n${log}`)))
    child.once('error', reject)
  })
}
