/** Leaks by call site, in bounded memory, each with the line of source there. Reads files only when a report is made. */
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { CallSite, LeakEvent } from '../events.ts'
import { shapeOf } from '../leaks.ts'
import type { LeakReport } from './model.ts'

/** Places to look at; whoever has more has enough to do. */
const mostSites = 200
/** Of a line of source: more is no line that somebody wrote. */
const mostSource = 200
/** Not read for the sake of a line. */
const mostBytes = 4 * 1024 * 1024

export class Leaks {
  readonly #sites = new Map<string, LeakEvent>()
  /** Places beyond those that are kept. */
  more = 0

  onLeak(leak: LeakEvent): void {
    const { callSite, client, origin, method, path } = leak
    // Without one, by what the client counts them by.
    const key = callSite ?? [client, origin, method, shapeOf(path)].join(' ')
    // What counts them has counted those it did not publish, too; of two clients, each has counted its own.
    const before = this.#sites.get(key)?.count ?? 0
    if (before === 0 && this.#sites.size >= mostSites) {
      // Told of again at 10, 100 and so on.
      if (leak.count === 1) this.more++
    } else this.#sites.set(key, { ...leak, count: Math.max(before, leak.count) })
  }

  all(read: (file: string) => readonly string[] = linesOf): LeakReport[] {
    const leaks = [...this.#sites.values()].toSorted((a, b) => b.count - a.count)
    const sources = new Map<CallSite, string | undefined>()
    // Each file once, and one at a time: a bundle is large, and may have all the places.
    const sites = leaks.map(({ site }) => site).filter((site) => site !== undefined)
    for (const [file, there] of Map.groupBy(sites, (site) => site.file)) {
      const lines = read(file)
      for (const site of there) sources.set(site, lineIn(lines, site.line))
    }
    return leaks.map(({ site, ...leak }) => ({ ...leak, source: site && sources.get(site) }))
  }
}

/** Of a path or URL; none where there is none to read. Never throws, and never waits, as whoever reads a pipe does. */
export function linesOf(file: string): readonly string[] {
  try {
    const name = file.startsWith('file:') ? fileURLToPath(file) : file
    const stat = fs.statSync(name)
    return stat.isFile() && stat.size <= mostBytes ? fs.readFileSync(name, 'utf8').split('\n') : []
  } catch {
    return []
  }
}

/** Trimmed; undefined if there is nothing in it. */
export function lineIn(lines: readonly string[], line: number): string | undefined {
  const text = lines[line - 1]?.trim()
  if (text === undefined || text === '') return undefined
  return text.length > mostSource ? `${text.slice(0, mostSource)}…` : text
}
