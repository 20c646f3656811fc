/**
 * `drained run app.js`: the program as ever, put on this library before it starts, and a report of its connections at its end.
 * Where it can be, this process becomes the program: its exit code, signals, standard streams and process id are its own.
 */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { type ReportOptions, urlWith } from '../report/preload-options.ts'

export const runUsage = `Usage: drained run [options] app.js [arguments of the program]

Runs a Node program on drained, as \`node --import drained/register\` does, and reports its connections, bodies and leaks on
standard error when it ends, and on SIGUSR2.

Options, before the program:
  --html <file>  also write the report as a page
  --json         report as one line of JSON, not as text
  --no-report    nothing on standard error; a page that is asked for is written
  -h, --help     this

The exit code is the program's; 64 if the options are wrong. Flags for Node go in NODE_OPTIONS, options of drained in the
environment: DRAINED_CONNECTIONS=64 drained run app.js
`

export interface RunOptions {
  readonly help: boolean
  readonly print: ReportOptions['print']
  readonly html: string | undefined
  /** The program and its arguments. */
  readonly program: readonly string[]
}

const options = {
  html: { type: 'string' },
  json: { type: 'boolean' },
  'no-report': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

/**
 * Everything from the first argument on that is no option of ours is the program's.
 * @throws Error saying what is wrong and what is accepted
 */
export function parseRun(args: readonly string[]): RunOptions {
  let split = 0
  for (; split < args.length; split++) {
    const arg = args[split] ?? ''
    if (arg === '--' || !arg.startsWith('-') || arg === '-') break
    if (arg === '--html') split++
  }
  const program = args.slice(args[split] === '--' ? split + 1 : split)
  const { values } = parseArgs({ args: args.slice(0, split), options, strict: true })
  if (values.html === '') throw new Error('--html needs the name of a file')
  if (values.json && values['no-report']) throw new Error('--json and --no-report exclude each other')
  if (program.length === 0 && !values.help) throw new Error('Which program? drained run [options] app.js')
  const print = values['no-report'] ? 'nothing' : values.json ? 'json' : 'text'
  return { help: values.help ?? false, print, html: values.html, program }
}

/** Resolves to an exit code unless this process becomes the program. */
export async function run(args: readonly string[]): Promise<number> {
  let parsed: RunOptions
  try {
    parsed = parseRun(args)
    if (parsed.html !== undefined) refuseUnwritable(parsed.html)
  } catch (error) {
    process.stderr.write(`drained run: ${(error as Error).message}\n\n${runUsage}`)
    return 64
  }
  if (parsed.help) {
    process.stdout.write(runUsage)
    return 0
  }
  return process.execve === undefined ? startChild(parsed) : become(parsed, process.execve)
}

/** Now, and not after hours of running. */
function refuseUnwritable(file: string): void {
  const folder = path.dirname(path.resolve(file))
  if (!fs.existsSync(folder)) throw new Error(`--html ${file}: there is no folder ${folder}`)
  if (fs.existsSync(file) && fs.statSync(file).isDirectory()) throw new Error(`--html ${file} is a folder`)
}

/** Of Node: its own flags, ours, and the program. */
function argumentsOf({ print, html, program }: RunOptions, who: { pid?: number; parent?: number }): string[] {
  const at = (file: string): URL => new URL(file + path.extname(import.meta.filename), import.meta.url)
  const imports = [at('../process/register').href]
  if (print !== 'nothing' || html !== undefined) {
    const page = html === undefined ? undefined : path.resolve(html)
    imports.push(urlWith(at('../report/preload'), { print, html: page, ...who }))
  }
  return [...process.execArgv, ...imports.flatMap((each) => ['--import', each]), ...program]
}

function become(options: RunOptions, execve: NonNullable<typeof process.execve>): never {
  const args = argumentsOf(options, { pid: process.pid })
  return execve.call(process, process.execPath, [process.argv0, ...args])
}

/** On Windows, which cannot do that. What the console sends, it sends to the child, too. */
async function startChild(options: RunOptions): Promise<number> {
  const args = argumentsOf(options, { parent: process.pid })
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => child.kill(signal))
  process.on('SIGINT', () => {})
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.once('error', reject)
  child.once('exit', (code, signal) => {
    if (signal === null) resolve(code ?? 1)
    else {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    }
  })
  return promise
}
