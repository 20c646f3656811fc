/** What every command of the command line has in common: exit codes, arguments read strictly, and errors that are one clear line. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

/** Exit codes; those from 64 on are the customary ones of sysexits.h. */
export const exitCodes = {
  healthy: 0,
  warning: 1,
  sick: 2,
  usage: 64,
  noProcess: 66,
  unavailable: 69,
  failed: 70,
  notPermitted: 77,
} as const

/** One command: `drained <name> ...`. */
export interface Command {
  /** Printed by --help. */
  readonly usage: string
  /**
   * Prints to standard output and answers with the exit code.
   * @throws CliError, whose message and code are the end of the program.
   */
  run(args: readonly string[]): Promise<number>
}

/** The end of the program: `message` on standard error, `exitCode` as its exit code. */
export class CliError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Arguments that are not accepted. The message names the argument, its value and what is accepted. */
export class UsageError extends CliError {
  constructor(message: string) {
    super(message, exitCodes.usage)
  }
}

export interface Given {
  readonly values: Readonly<Record<string, string | boolean | undefined>>
  readonly positionals: readonly string[]
}

/** Values as they were given. Names that are not in `options` are refused, and options given without their value. */
export function read(args: readonly string[], options: ParseArgsOptionsConfig): Given {
  const { tokens } = parseArgs({
    args: [...args],
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  const values: Record<string, string | boolean> = {}
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const type = options[token.name]?.type
    if (type === undefined || !Object.hasOwn(options, token.name))
      throw new UsageError(`${token.rawName} is not an option; accepted are ${names(options)}`)
    if (type === 'string' && (token.value === undefined || token.value === ''))
      throw new UsageError(`${token.rawName} needs a value, as in ${token.rawName}=VALUE`)
    // Rather an option whose value was forgotten than a value that looks like one; "-" alone is a file.
    if (type === 'string' && token.inlineValue === false && /^-./.test(token.value))
      throw new UsageError(
        `${token.rawName} needs a value, as in ${token.rawName}=VALUE, got ${quote(token.value)}`,
      )
    if (type === 'boolean' && token.value !== undefined)
      throw new UsageError(`${token.rawName} takes no value, got ${quote(token.value)}`)
    values[token.name] = token.value ?? true
  }
  return { values, positionals }
}

const names = (options: ParseArgsOptionsConfig): string =>
  Object.keys(options)
    .map((name) => `--${name}`)
    .join(', ')

/** What is accepted of a number; both ends belong to it. */
export interface Range {
  readonly least: number
  readonly most: number
  readonly whole?: boolean
}

/** @throws UsageError */
export function numberOf(name: string, text: string, { least, most, whole = false }: Range): number {
  const value = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || value < least || value > most || (whole && !Number.isInteger(value)))
    throw new UsageError(
      `${name} must be a ${whole ? 'whole ' : ''}number from ${least} to ${most}, got ${quote(text)}`,
    )
  return value
}

/** What somebody typed, short and without control characters. */
export const quote = (text: string): string =>
  JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
