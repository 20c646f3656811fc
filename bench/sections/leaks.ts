/** Sockets opened by answers nobody reads, through every client. */
import { clients, unlimited } from '../clients.ts'
import type { Section, Verdict } from '../report.ts'
import { inChild, type Origin, startOrigin } from '../run.ts'
import type { Leaked } from '../tasks/leak.ts'

interface Column {
  readonly name: string
  readonly path: string
  readonly count: number
  /** The most sockets drained may open; undefined where only a hang or a failure is one. */
  readonly most?: number
  readonly drops?: true
}

const columns: readonly Column[] = [
  { name: 'empty chunked', path: '/empty', count: 200, most: 3 },
  { name: '1 KiB', path: '/1024', count: 200, most: 3 },
  { name: '100 KiB', path: '/102400', count: 200, most: 3 },
  // 50: unread and kept, more than 64 of these are more than drain.memory.
  { name: '1 MiB', path: '/1048576', count: 50, most: 3 },
  { name: '1 MiB, dropped', path: '/1048576', count: 200, most: 3, drops: true },
  { name: '404 with 1 MiB', path: '/404', count: 50, most: 3 },
  { name: '302 with 256 KiB', path: '/302', count: 200, most: 3 },
  { name: '64 MiB', path: '/67108864', count: 50 },
  { name: 'endless', path: '/endless', count: 50 },
]
/** Measured at the same time: most of it is waiting for what hangs. */
const lanes = 3

type Outcome = (Leaked & { readonly sockets: number }) | { readonly error: string }

export const leaks: Section = async () => {
  const cells = [8, undefined].flatMap((limit) =>
    Object.keys(clients).flatMap((client) => columns.map((column) => ({ limit, client, column }))),
  )
  const outcomes = new Map<(typeof cells)[number], Outcome>()
  const left = cells.values()
  async function lane(): Promise<void> {
    const origin = await startOrigin()
    for (const cell of left) outcomes.set(cell, await outcomeOf(origin, cell.client, cell.limit, cell.column))
    await origin.stop()
  }
  await Promise.all(Array.from({ length: lanes }, lane))

  const verdicts: Verdict[] = []
  const tables = [8, undefined].map((limit) => {
    const title = limit === undefined ? 'no limit' : `pool of ${limit}`
    const rows = Object.keys(clients).map((client) => [client])
    for (const [{ client, column, limit: of }, outcome] of cells.map(
      (cell) => [cell, outcomes.get(cell)] as const,
    )) {
      if (of !== limit || outcome === undefined) continue
      rows.find(([name]) => name === client)?.push(shown(outcome, column))
      if (client !== 'drained' && client !== 'drained, long lane') continue
      verdicts.push({
        claim: `${client}, ${title}, ${column.name}`,
        holds: isGood(outcome, column),
        figure: shown(outcome, column),
      })
    }
    return {
      rows: [[title, ...columns.map(({ name }) => name)], ...rows],
      title: `Sockets opened, ${title}`,
      note,
    }
  })
  return {
    tables,
    verdicts,
    figures: cells.map((cell) => ({
      client: cell.client,
      limit: cell.limit ?? null,
      column: cell.column.name,
      calls: cell.column.count,
      ...outcomes.get(cell),
    })),
  }
}

const note = `Answers are never read, and kept but where they are dropped. H@n: hung for ever after n calls; nX: n calls failed.
Calls per column: ${columns.map(({ count }) => count).join(', ')}. ${unlimited.join(' and ')} cannot be limited.`

async function outcomeOf(
  origin: Origin,
  client: string,
  limit: number | undefined,
  column: Column,
): Promise<Outcome> {
  const before = await origin.counts()
  const task = {
    kind: 'leak',
    client,
    url: origin.url + column.path,
    count: column.count,
    keeps: column.drops !== true,
    ...(limit === undefined ? {} : { limit }),
  }
  const child = await inChild<Leaked>(task, { timeout: 60_000 })
  const { accepted } = await origin.counts()
  return 'error' in child ? child : { ...child, sockets: accepted - before.accepted }
}

function isGood(outcome: Outcome, { count, most = Infinity }: Column): boolean {
  if ('error' in outcome) return false
  return outcome.done === count && outcome.failures.length === 0 && outcome.sockets <= most
}

function shown(outcome: Outcome, { count }: Column): string {
  if ('error' in outcome) return 'failed'
  const { done, sockets, failures } = outcome
  const figure = done < count ? `H@${done}` : String(sockets)
  return failures.length === 0 ? figure : `${figure} ${failures.length}X`
}
