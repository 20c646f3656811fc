/** One client, and the same with metrics on, collected as often as a program would. */
import { MeterProvider, type MetricProducer, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { createClient } from '../src/index.ts'
import { meterClients, metricProducer } from '../src/adapters/metrics.ts'
import type { Make } from './transfers.ts'

const connections = 50

/** Takes what it is given and drops it: what is sent where is not ours to measure. */
const nowhere = {
  export: (_: unknown, done: (result: { code: 0 }) => void) => done({ code: 0 }),
  forceFlush: async () => {},
  shutdown: async () => {},
}

/** Collects every second. */
function readerOf(...metricProducers: MetricProducer[]): MeterProvider {
  const times = { exportIntervalMillis: 1_000, exportTimeoutMillis: 1_000 }
  const reader = new PeriodicExportingMetricReader({ exporter: nowhere, ...times, metricProducers })
  return new MeterProvider({ readers: [reader] })
}

const plain: Make = (url) => {
  const client = createClient({ connections })
  return async () => (await client.fetch(url)).json()
}

export const meteredCalls: Record<string, Make> = {
  'client.fetch': plain,
  'client.fetch, once more': plain,
  'client.fetch with metricProducer()': (url) => {
    const client = createClient({ connections })
    readerOf(metricProducer(client))
    return async () => (await client.fetch(url)).json()
  },
  'client.fetch with meterClients()': (url) => {
    const client = createClient({ connections })
    meterClients(client, { meterProvider: readerOf() })
    return async () => (await client.fetch(url)).json()
  },
}
