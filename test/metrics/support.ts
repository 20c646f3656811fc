/** The SDK of OpenTelemetry with everything in memory. */
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  type MetricProducer,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'

export interface Point {
  readonly value: unknown
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface Collected {
  readonly provider: MeterProvider
  /** Collects now: all metrics by name. */
  collect(): Promise<Map<string, MetricData>>
  /** Collects now: the points of one. */
  points(name: string): Promise<Point[]>
  [Symbol.asyncDispose](): Promise<void>
}

/** @param metricProducers what the reader asks beside the provider */
export function inMemory(...metricProducers: MetricProducer[]): Collected {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  // By itself never: `collect` asks for it.
  const never = { exportIntervalMillis: 1_000_000_000 }
  const reader = new PeriodicExportingMetricReader({ exporter, ...never, metricProducers })
  const provider = new MeterProvider({ readers: [reader] })
  const collect = async (): Promise<Map<string, MetricData>> => {
    exporter.reset()
    await reader.forceFlush()
    const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
    return new Map(all.flatMap(({ metrics }) => metrics).map((each) => [each.descriptor.name, each]))
  }
  return {
    provider,
    collect,
    points: async (name) => (await collect()).get(name)?.dataPoints ?? [],
    [Symbol.asyncDispose]: () => provider.shutdown(),
  }
}

/** The value of the one point that has these attributes. */
export function valueOf(points: readonly Point[], attributes: Record<string, unknown>): unknown {
  const found = points.filter((point) =>
    Object.entries(attributes).every(([name, value]) => point.attributes[name] === value),
  )
  if (found.length > 1) throw new Error(`${found.length} points have ${JSON.stringify(attributes)}`)
  return found[0]?.value
}
