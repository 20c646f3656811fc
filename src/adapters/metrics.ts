/**
 * Metrics of clients for OpenTelemetry: counts are read from `stats()` whenever somebody collects, times are recorded as they are
 * published. Needs `@opentelemetry/api`, and costs nothing until it is called.
 */
import { type Histogram, type Meter, type MeterProvider, metrics, type Observable } from '@opentelemetry/api'
import { check } from '../options/check.ts'
import { listen } from './metrics/listen.ts'
import { type Measure, measures, readings } from './metrics/measures.ts'
import { readAll, resolveSources, type Source } from './metrics/sources.ts'
import { type AnyTiming } from './metrics/timings.ts'

export { type ClientMetricProducer, metricProducer } from './metrics/producer.ts'
export type { Source } from './metrics/sources.ts'

export interface MeterOptions {
  /** Where the instruments are made. @default the global one of `@opentelemetry/api` */
  meterProvider?: MeterProvider
}

/** What {@link meterClients} returns: ends it. Safe to call more than once. */
export interface Metering extends Disposable {
  (): void
}

/**
 * Makes the instruments of docs/metrics.md for these clients, agents or services, and keeps them up until the function it returns is called.
 * @param sources one or several; by default the client of the default `fetch`, whichever that is at the time
 * @throws InvalidOptionError for what has no `stats()`, two sources of the same name, and bad options
 */
export function meterClients(sources?: Source | Iterable<Source>, options: MeterOptions = {}): Metering {
  check('options', options, { meterProvider: { accepts: 'a MeterProvider', ok: isProvider } })
  const metered = resolveSources(sources)
  const meter = (options.meterProvider ?? metrics).getMeter('drained')
  const unobserve = observe(meter, metered)
  const listening = listen(metered, (timing) => {
    const histogram = histogramOf(meter, timing)
    return (value, { attributes }) => histogram.record(value, attributes)
  })
  const stop = (): void => {
    unobserve()
    listening.stop()
  }
  return Object.assign(stop, { [Symbol.dispose]: stop })
}

function observe(meter: Meter, sources: readonly Source[] | undefined): () => void {
  const observed = measures.map((measure) => [measure, observableOf(meter, measure)] as const)
  const instruments = observed.map(([, instrument]) => instrument)
  const collect: Parameters<Meter['addBatchObservableCallback']>[0] = (result) => {
    const all = readAll(sources)
    for (const [measure, instrument] of observed) {
      for (const [value, attributes] of readings(measure, all)) result.observe(instrument, value, attributes)
    }
  }
  meter.addBatchObservableCallback(collect, instruments)
  return () => meter.removeBatchObservableCallback(collect, instruments)
}

function observableOf(meter: Meter, { name, kind, unit, description }: Measure): Observable {
  const about = { unit, description }
  if (kind === 'counter') return meter.createObservableCounter(name, about)
  if (kind === 'updown') return meter.createObservableUpDownCounter(name, about)
  return meter.createObservableGauge(name, about)
}

function histogramOf(meter: Meter, { name, description, buckets }: AnyTiming): Histogram {
  return meter.createHistogram(name, {
    unit: 's',
    description,
    advice: { explicitBucketBoundaries: [...buckets] },
  })
}

const isProvider = (value: unknown): boolean =>
  typeof (value as Partial<MeterProvider> | null)?.getMeter === 'function'
