/** `drained run` as a command, and the programs it runs. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Report } from '../../src/report/model.ts'

const root = path.join(import.meta.dirname, '../..')
export const command: string = path.join(root, 'src/cli/main.ts')

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<Ran>
}

/** Nothing of ours may be in the way of what is tested. */
const plain = { PATH: process.env['PATH'] }

export function start(args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, [command, 'run', ...args], {
    env: { ...plain, ...env },
    timeout: 60_000,
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += String(chunk)))
  child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)))
  child.stdin.end(input)
  const ended = new Promise<Ran>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  )
  return { child, stdout: () => stdout, stderr: () => stderr, ended }
}

export const run = (args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<Ran> =>
  start(args, input, env).ended

/** The same without it. */
export function runPlain(args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env: plain, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({
        code: error === null ? 0 : Number(error.code),
        signal: error?.signal ?? null,
        stdout,
        stderr,
      }),
    )
  })
}

export const folder: string = fs.mkdtempSync(path.join(os.tmpdir(), 'drained-run-'))

/** A file in a folder of its own, gone after the tests. */
export function program(name: string, source: string): string {
  const file = path.join(folder, name)
  fs.writeFileSync(file, source)
  return file
}

/** The report that `--json` has printed among whatever else. */
export function reportIn(stderr: string): Report {
  const line = stderr.split('\n').find((each) => each.startsWith('{"program"'))
  if (line === undefined) throw new Error(`No report in: ${stderr}`)
  return JSON.parse(line) as Report
}
