/** `drained doctor`: what the sockets of a process are doing, and whether that is healthy. */
import { setTimeout as wait } from 'node:timers/promises'
import { CliError, type Command, exitCodes, numberOf, read, UsageError } from './command.ts'
import { type Diagnosis, Doctor } from './doctor/diagnosis.ts'
import { keyOf, lineOf, report } from './doctor/report.ts'
import { type Round, round, roundReport } from './doctor/round.ts'
import type { Verdict } from './doctor/verdict.ts'
import { lineWidth } from './text.ts'

const usage = `drained doctor [pid] [options]

What the sockets of a process are doing, by remote endpoint, and whether that is healthy. Without a pid: of every process
that may be looked at. Only looks; Linux only; any program, Node or not. Needs the rights of the process's user, or root's.

  --watch         look again and again, until Ctrl-C or the process ends
  --interval S    seconds between looks of --watch (default 2)
  --count N       looks of --watch (default: no end)
  --json          JSON on standard output; with --watch one line per look
  --help

Exit codes: 0 healthy, 1 warning, 2 sick (with --watch: at the last look), 64 arguments, 66 no such process,
69 not Linux, 70 failed, 77 not permitted (without a pid: nothing was found to look at, and some may not be)`

const options = {
  watch: { type: 'boolean' },
  interval: { type: 'string' },
  count: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

interface Asked {
  readonly pid: number | undefined
  readonly watch: boolean
  /** Milliseconds. */
  readonly interval: number
  readonly count: number
  readonly json: boolean
}

export const doctor: Command = { usage, run }

async function run(args: readonly string[]): Promise<number> {
  const asked = parse(args)
  if (asked === undefined) {
    console.log(usage)
    return exitCodes.healthy
  }
  if (process.platform !== 'linux')
    throw new CliError(
      `drained doctor reads /proc, which only Linux has; this is ${process.platform}. netstat -an shows the same sockets.`,
      exitCodes.unavailable,
    )
  const verdict = await diagnose(asked)
  return verdict === 'unknown' ? exitCodes.notPermitted : exitCodes[verdict]
}

function parse(args: readonly string[]): Asked | undefined {
  const { values, positionals } = read(args, options)
  if (values.help === true) return undefined
  const [pid, ...more] = positionals
  if (more.length > 0) throw new UsageError(`drained doctor takes one pid, got ${positionals.length}`)
  const asked = {
    // The most Linux ever gives (PID_MAX_LIMIT).
    pid: pid === undefined ? undefined : numberOf('pid', pid, { least: 1, most: 4_194_304, whole: true }),
    watch: values.watch === true,
    interval: 1_000 * numberOf('--interval', String(values.interval ?? 2), { least: 0.1, most: 3_600 }),
    count:
      values.count === undefined
        ? Infinity
        : numberOf('--count', String(values.count), { least: 1, most: 1_000_000, whole: true }),
    json: values.json === true,
  }
  if (asked.watch && pid === undefined)
    throw new UsageError('--watch needs a pid: drained doctor PID --watch')
  const alone = (['interval', 'count'] as const).find((name) => values[name] !== undefined)
  if (alone !== undefined && !asked.watch) throw new UsageError(`--${alone} is only for --watch`)
  return asked
}

async function diagnose(asked: Asked): Promise<Round['verdict']> {
  if (asked.pid !== undefined && asked.watch) return watch(new Doctor(asked.pid), asked)
  if (asked.pid !== undefined) {
    const diagnosis = await new Doctor(asked.pid).examine()
    console.log(asked.json ? json(diagnosis, 2) : report(diagnosis, { width: lineWidth() }))
    return diagnosis.verdict
  }
  const all = await round()
  console.log(asked.json ? json(all, 2) : roundReport(all, lineWidth()))
  return all.verdict
}

/** Looks kept of each endpoint, for its sparkline. */
const looksKept = 30

async function watch(doctor: Doctor, { interval, count, json: isJson }: Asked): Promise<Verdict> {
  const stop = new AbortController()
  const end = (): void => stop.abort()
  process.once('SIGINT', end).once('SIGTERM', end)
  const history = new Map<string, number[]>()
  const totals: number[] = []
  let verdict: Verdict = 'healthy'

  function show(diagnosis: Diagnosis): void {
    remember(history, diagnosis)
    keep(
      totals,
      diagnosis.peers.reduce((sum, { sockets }) => sum + sockets, 0),
    )
    if (isJson) console.log(json(diagnosis))
    else if (!process.stdout.isTTY) console.log(lineOf(diagnosis, new Date(), totals))
    // From the upper left corner, then nothing below: no flicker.
    else process.stdout.write(`\u001b[H\u001b[2J${report(diagnosis, { width: lineWidth(), history })}\n`)
  }

  try {
    for (let look = 1; ; look++) {
      const diagnosis = await doctor.examine(stop.signal)
      verdict = diagnosis.verdict
      // Whoever reads this may leave, which ends us.
      process.exitCode = exitCodes[verdict]
      show(diagnosis)
      if (look >= count) break
      await wait(interval, undefined, { signal: stop.signal })
    }
  } catch (error) {
    if (!stop.signal.aborted) {
      if (!(error instanceof CliError) || error.exitCode !== exitCodes.noProcess) throw error
      console.error(`Process ${doctor.process.pid} has ended.`)
    }
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end)
  }
  return verdict
}

/** Endpoints that are gone go down to nothing, and are forgotten once nothing is left to show of them. */
function remember(history: Map<string, number[]>, { peers }: Diagnosis): void {
  const now = new Map(peers.map((peer) => [keyOf(peer), peer.sockets]))
  for (const key of new Set([...history.keys(), ...now.keys()])) {
    const values = history.get(key) ?? []
    keep(values, now.get(key) ?? 0)
    if (values.some((value) => value > 0)) history.set(key, values)
    else history.delete(key)
  }
}

function keep(values: number[], value: number): void {
  values.push(value)
  if (values.length > looksKept) values.shift()
}

const json = (value: unknown, indent?: number): string => JSON.stringify(value, undefined, indent)
