/** `npm start`: the same calls through several clients, each in a process of its own, sockets counted from outside. */
import { type ChildProcess, fork } from 'node:child_process'
import fs from 'node:fs'
import { once } from 'node:events'
import path from 'node:path'
import { redactUrl } from '../../src/events.ts'
import { type Args, parse, usage, UsageError } from './args.ts'
import { type ClientName, poolSize, type Progress, type Task } from './caller.ts'
import { page } from './page.ts'
import { socketsTo } from './proc.ts'
import { labels, type Row, table } from './table.ts'

/** What a storage service answers in an ordinary hour, in the order of one round. */
const paths = [
  '/created',
  '/small',
  '/missing',
  '/busy',
  '/moved',
  '/created',
  '/small',
  '/blob',
  '/created',
  '/feed',
]

interface Counts {
  readonly opened: Map<number, number>
  readonly open: Map<number, number>
}

interface Embedded {
  readonly ports: readonly number[]
  readonly counts: Counts
  stop(): void
}

const here = (file: string): string => path.join(import.meta.dirname, file)
const child = (file: string): ChildProcess =>
  fork(here(file), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })

async function startOrigin(wanted: number): Promise<Embedded> {
  const origin = child('origin.ts')
  const counts = { opened: new Map<number, number>(), open: new Map<number, number>() }
  origin.send(wanted)
  const [{ ports }] = (await once(origin, 'message')) as [{ ports: number[] }]
  origin.on('message', (message: { opened: [number, number][]; open: [number, number][] }) => {
    for (const [port, count] of message.opened) counts.opened.set(port, count)
    for (const [port, count] of message.open) counts.open.set(port, count)
  })
  return { ports, counts, stop: () => void origin.kill() }
}

/** Runs one client to its end, or until it makes no progress any more. */
async function measure(
  task: Task,
  port: number,
  origin: Embedded | undefined,
  show: (line: string) => void,
): Promise<Row> {
  const started = performance.now()
  const samples: [number, number][] = [[0, 0]]
  const caller = child('caller.ts')
  let progress: Progress = { done: 0, failed: 0, ended: false }
  let most = 0
  const sample = (): void => {
    const open = socketsTo(port)?.established ?? origin?.counts.open.get(port) ?? 0
    most = Math.max(most, open)
    samples.push([Math.round(performance.now() - started), open])
  }
  caller.send(task)
  await new Promise<void>((resolve) => {
    caller.on('message', (message: Progress) => {
      progress = message
      sample()
      show(
        `${labels[task.client]}: ${progress.done} of ${task.count} calls, ${samples.at(-1)?.[1]} sockets open`,
      )
      if (progress.ended) resolve()
    })
    caller.on('exit', () => resolve())
  })
  const ms = performance.now() - started
  // The origin reports ten times a second; two reports later its count is complete.
  if (origin !== undefined) await new Promise((resolve) => setTimeout(resolve, 250))
  const now = socketsTo(port)
  const row: Row = {
    client: task.client,
    calls: task.count,
    done: progress.done,
    failed: progress.failed,
    hung: task.count - progress.done - progress.failed,
    opened: origin === undefined ? most : (origin.counts.opened.get(port) ?? 0),
    open: now?.established ?? origin?.counts.open.get(port),
    timeWait: now?.timeWait,
    ms,
    error: progress.error,
    samples,
  }
  caller.kill()
  return row
}

async function main(args: Args): Promise<void> {
  const isLive = process.stdout.isTTY && !args.json
  const say = (line: string): void => void (args.json || process.stdout.write(`${line}\n`))
  const live = (line: string): void => void (isLive && process.stdout.write(`\r\u001b[K  ${line}`))
  const origin = args.urls.length === 0 ? await startOrigin(args.clients.length) : undefined
  const what =
    origin === undefined
      ? args.urls.map(redactUrl).join(', ')
      : 'an embedded origin that answers as storage does'
  say(`${args.count} calls per client to ${what}; no answer is read, all are kept. Pools of ${poolSize}.\n`)
  const rows: Row[] = []
  try {
    for (const [at, client] of args.clients.entries()) {
      const port = origin?.ports[at] ?? portOf(args.urls[0] as string)
      const urls = origin === undefined ? args.urls : paths.map((each) => `http://127.0.0.1:${port}${each}`)
      const row = await measure(taskOf(args, client, urls), port, origin, live)
      if (isLive) process.stdout.write('\r\u001b[K')
      say(
        `  ${labels[client]}: ${row.done} of ${row.calls} calls done, ${row.opened} sockets${row.hung > 0 ? ', then it hung' : ''}`,
      )
      rows.push(row)
    }
  } finally {
    origin?.stop()
  }
  const file = path.resolve('report', 'port-exhaustion.html')
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, page(rows, 'Sockets held by answers nobody reads'))
  if (args.json) process.stdout.write(`${JSON.stringify({ rows, page: file }, null, 2)}\n`)
  say(`\n${table(rows)}\n`)
  if (origin === undefined) say('Sockets opened: the most that stood at once, seen ten times a second.')
  else
    say(
      'drained gives up bodies nobody has touched for 500 ms while other calls wait (drain.stall; default 10 s).',
    )
  say(`Chart: ${path.relative(process.cwd(), file)}`)
}

function taskOf(args: Args, client: ClientName, urls: readonly string[]): Task {
  const { count, concurrency, method, body } = args
  // Longer than any answer takes; drained itself needs half a second to take a body back.
  return { client, urls, count, concurrency, method, body, patience: args.urls.length === 0 ? 3_000 : 15_000 }
}

function portOf(url: string): number {
  const { port, protocol } = new URL(url)
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
}

try {
  const args = parse(process.argv.slice(2))
  if (args.help) process.stdout.write(`${usage}\n`)
  else await main(args)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n\n${usage}\n`)
  process.exitCode = 2
}
