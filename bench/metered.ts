/** One client, and the same with metrics on, collected as often as a program would. */
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { createClient } from '../src/index.ts'
import { meterClients } from '../src/adapters/metrics.ts'
import type { Make } from './transfers.ts'

const connections = 50

/** Takes what it is given and drops it: what is sent where is not ours to measure. */
const nowhere = {
  export: (_: unknown, done: (result: { code: 0 }) => void) => done({ code: 0 }),
  forceFlush: async () => {},
  shutdown: async () => {},
}

const plain: Make = (url) => {
  const client = createClient({ connections })
  return async () => (await client.fetch(url)).json()
}

export const meteredCalls: Record<string, Make> = {
  'client.fetch': plain,
  'client.fetch, once more': plain,
  'client.fetch with metrics': (url) => {
    const client = createClient({ connections })
    const reader = new PeriodicExportingMetricReader({
      exporter: nowhere,
      exportIntervalMillis: 1_000,
      exportTimeoutMillis: 1_000,
    })
    meterClients(client, { meterProvider: new MeterProvider({ readers: [reader] }) })
    return async () => (await client.fetch(url)).json()
  },
}
