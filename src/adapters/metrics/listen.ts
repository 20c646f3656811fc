/** From the messages of this library to series: one listener for all that a channel tells of the sources. */
import diagnostics from 'node:diagnostics_channel'
import { sharedClient } from '../../client.ts'
import { type Series, SeriesOf } from './series.ts'
import { readAll, type Source } from './sources.ts'
import { type AnyTiming, timings } from './timings.ts'

/** A histogram that is kept up, and what is done with each value of it (in seconds). */
export interface Kept {
  readonly series: SeriesOf<never>
  readonly take: (value: number, series: Series) => void
}

/** Returns what ends it. */
export function listen(
  sources: readonly Source[] | undefined,
  keep: (timing: AnyTiming) => Kept['take'],
): { readonly kept: readonly Kept[]; readonly stop: () => void } {
  const isOurs = nameCheck(sources)
  const kept = timings.map((timing) => ({ series: new SeriesOf(timing), take: keep(timing) }))
  const ends = [...Map.groupBy(kept, ({ series }) => series.timing.channel)].map(([channel, told]) => {
    const listener = (message: unknown): void => {
      const event = message as never
      if (!isOurs((message as { client: string }).client)) return
      for (const { series, take } of told) {
        const ms = series.timing.ms(event)
        if (ms !== undefined) take(ms / 1_000, series.of(event))
      }
    }
    diagnostics.subscribe(channel, listener)
    return () => diagnostics.unsubscribe(channel, listener)
  })
  return {
    kept,
    stop() {
      for (const end of ends.splice(0)) end()
    },
  }
}

/** Others of the same process have names of their own. The default `fetch` may be another client's tomorrow. */
function nameCheck(sources: readonly Source[] | undefined): (name: string) => boolean {
  if (sources === undefined) return (name) => name === sharedClient().name
  const names = new Set(readAll(sources).map(({ name }) => name))
  return (name) => names.has(name)
}
