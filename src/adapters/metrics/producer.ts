/**
 * The same metrics as a MetricProducer, which a MetricReader of OpenTelemetry's SDK asks beside its own: times are kept in series here and
 * not in the SDK, which does much more for each value (docs/benchmarks.md).
 */
import { ValueType } from '@opentelemetry/api'
import type {
  AggregationTemporality,
  DataPointType,
  MetricData,
  MetricProducer,
} from '@opentelemetry/sdk-metrics'
import { listen, type Kept } from './listen.ts'
import { type Measure, measures, readings } from './measures.ts'
import { readAll, resolveSources, type Source, type SourceStats } from './sources.ts'

/** Also ends what it listens to. */
export interface ClientMetricProducer extends MetricProducer, Disposable {
  readonly stop: () => void
}

type Between = Pick<MetricData['dataPoints'][number], 'startTime' | 'endTime'>

/** Values of the SDK's enumerations, which need not be loaded for them. */
const cumulative = 1 as unknown as AggregationTemporality.CUMULATIVE
const histogram = 0 as unknown as DataPointType.HISTOGRAM
const gauge = 2 as unknown as DataPointType.GAUGE
const sum = 3 as unknown as DataPointType.SUM

/**
 * Everything {@link meterClients} has, cumulative, for the `metricProducers` of a MetricReader. It knows no views.
 * @param sources one or several; by default the client of the default `fetch`
 * @throws InvalidOptionError for what has no `stats()`, and for two sources of the same name
 */
export function metricProducer(sources?: Source | Iterable<Source>): ClientMetricProducer {
  const metered = resolveSources(sources)
  const startTime = now()
  const { kept, stop } = listen(metered, () => (value, series) => series.add(value))
  return {
    async collect() {
      const between = { startTime, endTime: now() }
      const all = readAll(metered)
      const metrics = [
        ...measures.map((measure) => counted(measure, all, between)),
        ...kept.map((each) => timed(each, between)),
      ]
      const scopeMetrics = [
        { scope: { name: 'drained' }, metrics: metrics.filter(({ dataPoints }) => dataPoints.length > 0) },
      ]
      // The reader puts its own resource in place of this one.
      return { resourceMetrics: { resource: undefined as never, scopeMetrics }, errors: [] }
    },
    stop,
    [Symbol.dispose]: stop,
  }
}

function counted(measure: Measure, all: readonly SourceStats[], between: Between): MetricData {
  const { name, unit, description, kind } = measure
  const about = {
    descriptor: { name, unit, description, valueType: ValueType.DOUBLE },
    aggregationTemporality: cumulative,
    dataPoints: [...readings(measure, all)].map(([value, attributes]) => ({ ...between, value, attributes })),
  }
  return kind === 'gauge'
    ? { ...about, dataPointType: gauge }
    : { ...about, dataPointType: sum, isMonotonic: kind === 'counter' }
}

function timed({ series }: Kept, between: Between): MetricData {
  const { name, description, buckets } = series.timing
  return {
    descriptor: { name, unit: 's', description, valueType: ValueType.DOUBLE },
    aggregationTemporality: cumulative,
    dataPointType: histogram,
    dataPoints: series.all().map(({ attributes, counts, count, sum: total, min, max }) => ({
      ...between,
      attributes,
      value: { buckets: { boundaries: [...buckets], counts: [...counts] }, count, sum: total, min, max },
    })),
  }
}

function now(): [seconds: number, nanoseconds: number] {
  const ms = Date.now()
  return [Math.floor(ms / 1_000), (ms % 1_000) * 1_000_000]
}
