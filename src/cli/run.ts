/**
 * `drained run app.js`: the program as ever, put on this library before it starts, and a report of its connections at its end.
 * Where it can be, this process becomes the program: its exit code, signals, standard streams and process id are its own.
 */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { InvalidOptionError } from '../errors.ts'
import { optionsIn } from '../process/variables.ts'
import { CliError, type Command, exitCodes, quote, read, UsageError } from './command.ts'
import { type ReportOptions, urlWith } from '../report/preload-options.ts'

const usage = `drained run [options] app.js [arguments of the program]

Runs a Node program on drained, as node --import drained/register does, and reports its connections, bodies and leaks on
standard error when it ends, and on SIGUSR2.

Options, before the program:
  --html FILE   also write the report as a page
  --json        the report as one line of JSON, not as text
  --no-report   nothing on standard error; a page that is asked for is written

Flags of Node go in NODE_OPTIONS, options of drained in the environment, as in DRAINED_CONNECTIONS=64 drained run app.js

Exit codes: the program's, or its signal; 64 if the arguments or a DRAINED_ variable are wrong.`

const options = {
  html: { type: 'string' },
  json: { type: 'boolean' },
  'no-report': { type: 'boolean' },
} as const

export const run: Command = {
  usage,
  async run(args) {
    const parsed = parseRun(args)
    if (parsed.html !== undefined) refuseUnwritable(parsed.html)
    refuseWrongVariables(process.env)
    return process.execve === undefined || cannotBecome.includes(process.platform)
      ? startChild(parsed)
      : become(parsed, (...to) => process.execve?.(...to))
  },
}

/** There `process.execve` is a function, too, which throws (ERR_FEATURE_UNAVAILABLE_ON_PLATFORM). */
const cannotBecome: readonly string[] = ['win32', 'os400']

export interface RunOptions {
  readonly print: ReportOptions['print']
  readonly html: string | undefined
  /** The program and its arguments. */
  readonly program: readonly string[]
}

/**
 * Everything from the first argument on that is no option of ours is the program's.
 * @throws UsageError
 */
export function parseRun(args: readonly string[]): RunOptions {
  let split = 0
  for (; split < args.length; split++) {
    const arg = args[split] ?? ''
    // To Node "-" is a program: what comes on standard input.
    if (arg === '--' || arg === '-' || !arg.startsWith('-')) break
    if (arg === '--html') split++
  }
  const program = args.slice(args[split] === '--' ? split + 1 : split)
  const { html, json, 'no-report': silent } = read(args.slice(0, split), options).values
  if (json === true && silent === true) throw new UsageError('--json and --no-report exclude each other')
  if (program.length === 0)
    throw new UsageError('drained run needs a program, as in drained run app.js (drained run --help)')
  const print = silent === true ? 'nothing' : json === true ? 'json' : 'text'
  return { print, html: html as string | undefined, program }
}

/**
 * Now, and not after hours of running.
 * @throws UsageError
 */
export function refuseUnwritable(file: string): void {
  const isFolder = (name: string): boolean => fs.existsSync(name) && fs.statSync(name).isDirectory()
  const folder = path.dirname(path.resolve(file))
  if (!isFolder(folder)) throw new UsageError(`--html ${quote(file)}: there is no such folder`)
  if (isFolder(file)) throw new UsageError(`--html needs a file, and ${quote(file)} is a folder`)
  try {
    fs.accessSync(fs.existsSync(file) ? file : folder, fs.constants.W_OK)
  } catch (error) {
    throw new UsageError(`--html ${quote(file)} cannot be written: ${(error as Error).message}`)
  }
}

/**
 * The program would refuse them as well, but as an error of its own.
 * @throws UsageError
 */
function refuseWrongVariables(environment: NodeJS.ProcessEnv): void {
  try {
    optionsIn(environment)
  } catch (error) {
    throw error instanceof InvalidOptionError ? new UsageError(error.message) : error
  }
}

/** Of Node: its own flags, ours, and the program. */
function argumentsOf({ print, html, program }: RunOptions, who: { pid?: number; parent?: number }): string[] {
  const at = (file: string): URL => new URL(file + path.extname(import.meta.filename), import.meta.url)
  const page = html === undefined ? undefined : path.resolve(html)
  const preload =
    print === 'nothing' && html === undefined
      ? at('../process/register').href
      : urlWith(at('../report/preload'), { print, html: page, ...who })
  return [...process.execArgv, '--import', preload, ...program]
}

type Replace = (file: string, args: readonly string[]) => undefined

function become(options: RunOptions, replace: Replace): never {
  replace(process.execPath, [process.argv0, ...argumentsOf(options, { pid: process.pid })])
  throw new CliError('drained run: the program could not be started', exitCodes.failed)
}

/** Where it cannot. What a console sends, it sends to the child, too: Ctrl-C, and on Windows that it is closed (SIGHUP). */
async function startChild(options: RunOptions): Promise<number> {
  const args = argumentsOf(options, { parent: process.pid })
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  const ofConsole = process.platform === 'win32' ? ['SIGINT', 'SIGHUP'] : ['SIGINT']
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const)
    process.on(signal, () => ofConsole.includes(signal) || child.kill(signal))
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
