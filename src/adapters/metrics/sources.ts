/** Who can be metered: whatever has the `stats()` of this library, and what `stats()` says of each of them. */
import { sharedClient } from '../../client.ts'
import { InvalidOptionError } from '../../errors.ts'
import type { RetryStats } from '../../retry/retries.ts'
import type { WireStats } from '../../wire/stats.ts'

/** Statistics of a client, or of an agent, which makes no retries. */
export interface SourceStats extends WireStats {
  readonly retries?: RetryStats
}

/** A client or an agent; all of `createServices()`, or of `install()`. */
export interface Source {
  stats(): SourceStats | { readonly [name: string]: SourceStats }
}

const isStats = (stats: ReturnType<Source['stats']>): stats is SourceStats =>
  typeof (stats as SourceStats).origins === 'object' && typeof (stats as SourceStats).name === 'string'

/** The statistics of all of them, now. Without sources: those of the client of the default `fetch`. */
export function readAll(sources: readonly Source[] | undefined): SourceStats[] {
  return (sources ?? [sharedClient()]).flatMap((source) => {
    const stats = source.stats()
    return isStats(stats) ? [stats] : Object.values(stats)
  })
}

/**
 * One source or several, checked.
 * @throws InvalidOptionError for what has no `stats()`, and for two of the same name: nobody could tell them apart
 */
export function resolveSources(given: Source | Iterable<Source> | undefined): readonly Source[] | undefined {
  if (given === undefined) return undefined
  const sources = isIterable(given) ? [...given] : [given]
  if (sources.length === 0) throw new InvalidOptionError('sources', 'sources must not be empty')
  for (const source of sources) {
    if (typeof (source as Partial<Source> | null)?.stats !== 'function')
      throw new InvalidOptionError(
        'sources',
        'sources must be clients, agents, services, what install() returns, or several of them',
      )
  }
  const names = new Set<string>()
  for (const { name } of readAll(sources)) {
    if (names.has(name))
      throw new InvalidOptionError(
        'sources',
        `Two of the sources are named ${name}: give each a name of its own`,
      )
    names.add(name)
  }
  return sources
}

const isIterable = (given: object | null): given is Iterable<Source> =>
  typeof (given as Partial<Iterable<Source>> | null)?.[Symbol.iterator] === 'function'
