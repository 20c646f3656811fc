/** Counts of clients in the text format of Prometheus, straight from `stats()`: no OpenTelemetry, nothing kept, nothing listened to. */
import type { Attributes } from './metrics/attributes.ts'
import { type Measure, measures, readings } from './metrics/measures.ts'
import { readAll, resolveSources, type Source } from './metrics/sources.ts'

export type { Source } from './metrics/sources.ts'

/** Of {@link prometheusText}. */
export const contentType = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * What `/metrics` answers for these clients, agents or services: every count of docs/metrics.md (times need `drained/metrics`), under the
 * names an exporter of OpenTelemetry gives them.
 * @param sources one or several; by default the client of the default `fetch`
 * @throws InvalidOptionError for what has no `stats()`, and for two sources of the same name
 */
export function prometheusText(sources?: Source | Iterable<Source>): string {
  const all = readAll(resolveSources(sources))
  return measures
    .map((measure) => {
      const name = nameOf(measure)
      const lines = [...readings(measure, all)].map(
        ([value, attributes]) => `${name}${labels(attributes)} ${value}\n`,
      )
      const type = measure.kind === 'counter' ? 'counter' : 'gauge'
      return lines.length === 0
        ? ''
        : `# HELP ${name} ${measure.description}\n# TYPE ${name} ${type}\n${lines.join('')}`
    })
    .join('')
}

const plain = (name: string): string => name.replaceAll('.', '_')

function nameOf({ name, unit, kind }: Measure): string {
  const bytes = unit === 'By' && !name.includes('bytes') ? '_bytes' : ''
  return `${plain(name)}${bytes}${kind === 'counter' ? '_total' : ''}`
}

const labels = (attributes: Attributes): string =>
  `{${Object.entries(attributes)
    .map(([name, value]) => `${plain(name)}="${escape(String(value))}"`)
    .join(',')}}`

const escape = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
