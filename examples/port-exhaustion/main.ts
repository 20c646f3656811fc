/** `npm start`: the same calls through several clients, each in a process of its own, sockets counted from outside. */
import fs from 'node:fs'
import path from 'node:path'
import { redactUrl } from '../../src/events.ts'
import { type Args, parse, usage, UsageError } from './args.ts'
import { startOrigin, targetsOn } from './embedded.ts'
import { live } from './live.ts'
import { measure } from './measure.ts'
import { page } from './page.ts'
import { labels, type Row, table } from './table.ts'
import { poolSize, type Target } from './task.ts'

/** Milliseconds in which no call settles; longer than any answer takes, and drained needs 500 to take a body back. */
const patience = { embedded: 3_000, own: 5_000 }

async function main(args: Args): Promise<void> {
  const say = (line: string): void => void (args.json || process.stdout.write(`${line}\n`))
  const isEmbedded = args.urls.length === 0
  const what = isEmbedded ? 'an embedded storage-like origin' : args.urls.map(redactUrl).join(', ')
  say(
    `${args.count} calls per client to ${what}, in pools of ${poolSize}; answers are kept and never read.\n`,
  )

  const rows = await measureAll(args)
  const notes = notesOn(rows, isEmbedded)
  const file = path.resolve(args.page ?? path.join(import.meta.dirname, '../../report/port-exhaustion.html'))
  writeWhole(file, page(rows, 'Sockets held by answers nobody reads', notes))

  if (args.json) process.stdout.write(`${JSON.stringify({ rows, notes, page: file })}\n`)
  say(`\n${table(rows, isEmbedded ? 'for ever' : `for ${patience.own / 1000} s`)}\n\n${notes.join('\n')}`)
  say(`Chart: ${path.relative(process.cwd(), file)}`)
}

/** One after another: none may slow another down. */
async function measureAll(args: Args): Promise<Row[]> {
  const { clients, urls, count, concurrency, method, body } = args
  const origin = urls.length === 0 ? await startOrigin(clients.length) : undefined
  const isTerminal = process.stdout.isTTY && process.env['TERM'] !== 'dumb'
  const screen = args.json ? { write: () => {} } : process.stdout
  const view = live(screen, clients, count, isTerminal)
  const own: Target[] = urls.map((url) => ({ kind: redactUrl(url), url }))
  const rows: Row[] = []
  try {
    for (const [at, client] of clients.entries()) {
      const where = origin && { origin, port: origin.ports[at] as number }
      const targets = where ? targetsOn(where.port) : own
      const task = { client, targets, count, concurrency, method, body }
      const limit = where ? patience.embedded : patience.own
      const row = await measure({ ...task, patience: limit }, where, (now) => view.update(client, now))
      view.end(client, { done: row.done, open: row.open ?? 0 }, verdict(row))
      rows.push(row)
    }
  } finally {
    origin?.stop()
  }
  return rows
}

function verdict(row: Row): string {
  if (row.hung > 0) return 'hung'
  return row.failed > 0 ? `${row.failed} failed` : 'done'
}

function notesOn(rows: readonly Row[], isEmbedded: boolean): string[] {
  const notes = rows
    .filter((row) => row.error !== undefined)
    .map((row) => `${labels[row.client]}: ${row.failed} calls failed, the last with: ${row.error}`)
  const limit = isEmbedded ? patience.embedded : patience.own
  if (rows.some((row) => row.hung > 0))
    notes.push(`hung: calls open or not yet begun when none had settled for ${limit / 1000} s.`)
  const drained = rows.find((row) => row.client === 'drained')
  if (drained !== undefined)
    notes.push(
      'drained runs with drain.stall 500 ms (default 10 s): when calls wait, bodies untouched that long are given up.',
    )
  if (drained !== undefined && isEmbedded) {
    const endless = ['blob', 'feed'].reduce((sum, kind) => sum + (drained.kinds?.[kind]?.done ?? 0), 0)
    notes.push(
      `${endless} of its answers were an 8 MiB blob or an endless feed: each takes a connection of its own.`,
    )
  }
  if (rows.some((row) => row.client === 'node'))
    notes.push(
      "Node's fetch is used as it comes: it has no limit of sockets unless a dispatcher is set for it.",
    )
  return notes
}

/** Whoever reads the file meanwhile sees the old one or the new one, never a part. */
function writeWhole(file: string, text: string): void {
  const part = `${file}.${process.pid}`
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(part, text)
  fs.renameSync(part, file)
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
