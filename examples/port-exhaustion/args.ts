/** The command line of `npm start`: every argument checked, refused with its name, its value and what is accepted. */
import { parseArgs } from 'node:util'
import { redactUrl } from '../../src/events.ts'
import { type ClientName, clientNames } from './task.ts'

export interface Args {
  /** Empty: the embedded origin. */
  readonly urls: readonly string[]
  readonly count: number
  readonly concurrency: number
  readonly method: string
  readonly body: string | undefined
  readonly clients: readonly ClientName[]
  /** Where the chart is written; undefined: report/port-exhaustion.html. */
  readonly page: string | undefined
  readonly json: boolean
  readonly help: boolean
}

export class UsageError extends Error {}

export const usage = `npm start -- [url ...] [options]

Makes the same calls through several clients, reads no answer, and counts sockets. Without a url it brings its own origin.

  --count N         calls per client (default 200)
  --concurrency N   calls at once (default 1)
  --method M        request method (default GET; only with a url)
  --body TEXT       request body (only with a url and a method that takes one)
  --clients LIST    of ${clientNames.join(',')} (default all)
  --page FILE       where the chart is written (default report/port-exhaustion.html)
  --json            only JSON on standard output
  --help`

const options = {
  count: { type: 'string' },
  concurrency: { type: 'string' },
  method: { type: 'string' },
  body: { type: 'string' },
  clients: { type: 'string' },
  page: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

export function parse(argv: readonly string[]): Args {
  const { values, positionals } = read(argv)
  const urls = positionals.map(url)
  const method = methodOf(values.method)
  if (urls.length === 0 && method !== 'GET')
    throw new UsageError(`--method needs a url: the embedded origin takes GET only, got "${method}"`)
  if (values.body !== undefined && /^(GET|HEAD)$/.test(method))
    throw new UsageError(`--body needs a url and a --method that takes a body, such as PUT, got ${method}`)
  if (values.page === '') throw new UsageError('--page must be the name of a file, got ""')
  return {
    urls,
    count: whole('--count', values.count, 200, 100_000),
    concurrency: whole('--concurrency', values.concurrency, 1, 1_000),
    method,
    body: values.body,
    clients: clients(values.clients),
    page: values.page,
    json: values.json ?? false,
    help: values.help ?? false,
  }
}

function read(
  argv: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function methodOf(text = 'GET'): string {
  const method = text.toUpperCase()
  // fetch refuses the last two.
  if (!/^[A-Z]+$/.test(method) || /^(CONNECT|TRACE)$/.test(method))
    throw new UsageError(`--method must be a method such as GET or PUT, got "${text}"`)
  return method
}

function url(text: string): string {
  const parsed = URL.parse(text)
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw new UsageError(`url must be an http: or https: URL, got "${redactUrl(text)}"`)
  if (parsed.username !== '' || parsed.password !== '')
    throw new UsageError(`url must be one without user and password, got "${redactUrl(text)}"`)
  return parsed.href
}

function whole(name: string, text: string | undefined, otherwise: number, most: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > most)
    throw new UsageError(`${name} must be a whole number from 1 to ${most}, got "${text}"`)
  return value
}

function clients(text: string | undefined): readonly ClientName[] {
  if (text === undefined) return clientNames
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !clientNames.includes(name as ClientName))
  if (unknown !== undefined)
    throw new UsageError(`--clients must be of ${clientNames.join(', ')}, got "${unknown}"`)
  return [...new Set(names as ClientName[])]
}
