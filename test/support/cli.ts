/** The command line as a process, and processes for it to look at. */
import { type ChildProcess, execFile, fork, spawn } from 'node:child_process'
import path from 'node:path'
import { afterEach } from 'vitest'

const root = path.join(import.meta.dirname, '../..')
export const main: string = path.join(root, 'src/cli/main.ts')
const patientFile = path.join(import.meta.dirname, 'patient.ts')

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs `drained <args>` to its end; `before` are arguments of node. */
export function drained(args: readonly string[], before: readonly string[] = []): Promise<Ran> {
  return command(process.execPath, [...before, main, ...args])
}

export function command(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  // A test runner may force colours, and Node shows none where it believes to be in CI.
  const { FORCE_COLOR: _, NO_COLOR: __, CI: ___, ...rest } = process.env
  return new Promise((resolve) => {
    execFile(
      file,
      args,
      { timeout: 60_000, maxBuffer: 1 << 26, env: { ...rest, ...env } },
      (error, stdout, stderr) =>
        resolve({
          code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1,
          stdout,
          stderr,
        }),
    )
  })
}

export interface Patient {
  readonly pid: number
  readonly child: ChildProcess
  /** Where it listens, if it does. */
  readonly port: number
}

const alive = new Set<ChildProcess>()
afterEach(async () => {
  await Promise.all([...alive].map(gone))
  alive.clear()
})

/** Ends a process of this test, and waits until it has ended. */
export function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

/** Ends with the test. */
export function kept<T extends ChildProcess>(child: T): T {
  alive.add(child)
  return child
}

/** A process whose sockets are as asked for, see patient.ts. */
export function patient(kind: string, host = '127.0.0.1', port = 0, count = 0): Promise<Patient> {
  return ready(fork(patientFile, [kind, host, String(port), String(count)], { execArgv: [] }))
}

/** The same in a network namespace of its own, prepared by a line of shell; a further command may follow it there. */
export function patientApart(setUp: string, kind: string, count: number): Promise<Patient> {
  const args = [process.execPath, patientFile, kind, '127.0.0.1', '0', String(count)]
  const shell = ['--net', '--', 'sh', '-c', `${setUp} && exec "$@"`, 'sh', ...args]
  return ready(spawn('unshare', shell, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }))
}

function ready(child: ChildProcess): Promise<Patient> {
  kept(child)
  return new Promise((resolve, reject) => {
    child.once('message', (message) =>
      resolve({ pid: child.pid ?? 0, child, port: (message as { port?: number }).port ?? 0 }),
    )
    child.once('exit', (code) => reject(new Error(`The process ended with ${code}`)))
  })
}
