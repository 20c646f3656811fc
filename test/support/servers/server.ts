/** A real HTTP server in the foreground on loopback ports of its own; it ends with its test, and with the process of the tests. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'

/** What a server is told; a kind of server puts it into its own words. */
export interface Settings {
  /** Where requests are passed on to. */
  readonly backend?: number
  /** Milliseconds after which it closes an idle connection. @default 60000 */
  readonly idle?: number
  /** Requests it takes on one connection. */
  readonly requests?: number
}

/** What the text of a configuration is made of. */
export interface Place extends Settings {
  readonly idle: number
  /** Ports to listen on, for HTTP/1.1 and for TLS with HTTP/2. */
  readonly port: number
  readonly tlsPort: number
  /** A folder that only this server uses. */
  readonly folder: string
}

/** One product: data only. */
export interface Kind {
  readonly command: string
  readonly version: string
  readonly args: (config: string) => string[]
  readonly config: (place: Place) => string
  /** Serves TLS and HTTP/2, too. */
  readonly hasTls: boolean
}

export interface Server extends AsyncDisposable {
  /** HTTP/1.1 in the clear. */
  readonly url: string
  readonly port: number
  readonly tlsPort: number
}

const pem = (name: string): string => path.join(import.meta.dirname, '..', name)
/** A key that protects nothing: it is for loopback. */
export const files: { readonly cert: string; readonly key: string } = {
  cert: pem('localhost.crt'),
  key: pem('localhost.key'),
}

// Debian keeps servers where only root's shell looks.
const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/usr/local/sbin` }

const isInstalled = (kind: Kind): boolean =>
  spawnSync(kind.command, [kind.version], { env, stdio: 'ignore' }).error === undefined

/**
 * For `describe.runIf`: false where it is not installed, so that the tests are skipped. In CI nothing is skipped: they run,
 * and fail.
 */
export function needs(kind: Kind): boolean {
  return process.env['CI'] !== undefined || isInstalled(kind)
}

/**
 * Its standard input is a pipe of ours. When that ends, because we closed it or because this process died in whatever way,
 * the shell ends the server. It waits for the server, so that the number is never somebody else's.
 */
const leash = `
  exec 3<&0
  "$@" 3<&- </dev/null &
  server=$!
  { cat <&3 >/dev/null; kill "$server"; } &
  leash=$!
  wait "$server"
  status=$?
  kill "$leash" 2>/dev/null
  exit "$status"`

/** Longer than any of them needs on a machine that has other things to do. */
const patience = 15_000

/** Starts it and waits until its ports answer. */
export async function start(kind: Kind, settings: Settings = {}): Promise<Server> {
  if (!isInstalled(kind)) throw new Error(`${kind.command} is not installed`)
  // A port that was free may be taken before the server has it.
  for (let tries = 3; ; tries--) {
    try {
      return await startOnce(kind, settings)
    } catch (error) {
      if (tries === 1) throw error
    }
  }
}

async function startOnce(kind: Kind, settings: Settings): Promise<Server> {
  const [port = 0, tlsPort = 0] = await freePorts(2)
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `drained-${kind.command}-`))
  // Some drop root's rights, and still write there.
  fs.chmodSync(folder, 0o777)
  const config = path.join(folder, 'config')
  fs.writeFileSync(config, kind.config({ idle: 60_000, ...settings, port, tlsPort, folder }))

  const child = spawn('sh', ['-c', leash, 'sh', kind.command, ...kind.args(config)], {
    // What Caddy keeps of its own.
    env: { ...env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let log = ''
  for (const output of [child.stdout, child.stderr])
    output.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-20_000)
    })

  async function stop(): Promise<void> {
    child.stdin.end()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    fs.rmSync(folder, { recursive: true })
  }

  try {
    for (const each of kind.hasTls ? [port, tlsPort] : [port]) await answers(each, child)
  } catch (error) {
    // Some write to files: what we give them for standard error is a socket, which cannot be opened by its name.
    const written = fs.readdirSync(folder).filter((name) => name.endsWith('.log'))
    const logs = [log, ...written.map((name) => fs.readFileSync(path.join(folder, name), 'utf8'))].join('')
    await stop()
    throw new Error(`${kind.command} did not start: ${(error as Error).message}\n${logs}`, { cause: error })
  }
  return { url: `http://127.0.0.1:${port}`, port, tlsPort, [Symbol.asyncDispose]: stop }
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  for (const deadline = performance.now() + patience; performance.now() < deadline; await setTimeout(10)) {
    const socket = net.connect(port, '127.0.0.1')
    // No request: nothing that would be passed on. It is answered with 400, or with FIN.
    socket.end('?\r\n\r\n')
    const isThere = await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true)).once('end', () => resolve(true))
      socket.once('error', () => resolve(false)).setTimeout(1_000, () => resolve(false))
    })
    socket.destroy()
    // Somebody else may have taken the port: then it is he who answers, and the server that ends.
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    if (isThere) return
  }
  throw new Error(`port ${port} does not answer after ${patience} ms`)
}

/** All are held until the last is known, or one could come twice. */
async function freePorts(count: number): Promise<number[]> {
  const holders = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'))
  await Promise.all(holders.map((holder) => once(holder, 'listening')))
  const ports = holders.map((holder) => (holder.address() as net.AddressInfo).port)
  await Promise.all(holders.map((holder) => new Promise((resolve) => holder.close(resolve))))
  return ports
}
