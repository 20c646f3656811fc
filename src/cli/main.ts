#!/usr/bin/env node
/** The command line: finds the command, and ends the process with its exit code once everything is printed. */
import fs from 'node:fs'
import { type Command, CliError, exitCodes, quote, UsageError } from './command.ts'

interface Entry {
  readonly summary: string
  /** Its process becomes another program, which must find the standard streams untouched. */
  readonly becomes?: true
  load(): Promise<Command>
}

/** By name, loaded when asked for: one command does not pay for another. */
const commands: Record<string, Entry> = {
  run: {
    summary: 'a program on drained, with a report of its connections, bodies and leaks',
    becomes: true,
    load: async () => (await import('./run.ts')).run,
  },
  doctor: {
    summary: 'what the sockets of a process are doing, and whether that is healthy',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  plan: {
    summary: 'how many sockets and ports a load needs',
    load: async () => (await import('./plan.ts')).plan,
  },
}

const usage = `drained <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
  .join('\n')}

  drained <command> --help   its options and exit codes
  drained --version`

async function main([name, ...args]: readonly string[]): Promise<number> {
  await import('../node-version.ts')
  if (name === undefined) throw new UsageError(usage)
  if (name === '--help' || name === '-h') return print(usage)
  if (name === '--version') return print(version())
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (entry === undefined)
    throw new UsageError(
      `${quote(name)} is not a command; accepted are ${Object.keys(commands).join(', ')} (drained --help)`,
    )
  const command = await entry.load()
  if (entry.becomes === undefined) endWithReader()
  // What follows "--", or belongs to a program that is run, is not for us.
  return args[0] === '--help' || args[0] === '-h' ? print(command.usage) : command.run(args)
}

function print(text: string): number {
  console.log(text)
  return exitCodes.healthy
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url)
  return (JSON.parse(fs.readFileSync(file, 'utf8')) as { version: string }).version
}

/** Whoever reads has had enough, as `head` has. */
function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit()
    console.error(`drained: ${error.message}`)
    process.exit(exitCodes.failed)
  })
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof CliError ? error.message : `drained: ${(error as Error).message}`)
  process.exitCode = error instanceof CliError ? error.exitCode : exitCodes.failed
}
