/** Checked by the compiler only: services have the names they were given, and no others. */
import {
  type Client,
  type ClientStats,
  createServices,
  type Services,
  type ServicesOptions,
} from '../../src/index.ts'

const storage = createServices({
  blob: {
    origin: 'https://acct.blob.core.windows.net',
    connections: 64,
    origins: ['https://acct-secondary.blob.core.windows.net'],
  },
  queue: { origin: new URL('https://acct.queue.core.windows.net') },
  default: { connections: 8 },
})

export async function uses(): Promise<void> {
  const blob: Client = storage.blob
  const fetch: typeof globalThis.fetch = storage.fetch
  const stats: ClientStats = storage.stats().queue
  void [blob, fetch, stats]
  await using response = await storage.fetch('https://acct.blob.core.windows.net/x', {
    timeout: { headers: 5 },
  })
  void response
  await using again: Services<'blob' | 'queue' | 'default'> = storage
  void again
  // @ts-expect-error there is no such service
  void storage.table
  // @ts-expect-error nor numbers of one
  void storage.stats().table
  // @ts-expect-error a service is not replaced
  storage.blob = blob
  // @ts-expect-error an unknown time limit
  void storage.fetch('https://acct.blob.core.windows.net/x', { timeout: { haeders: 5 } })
}

export function refused(): void {
  // @ts-expect-error an unknown option
  createServices({ blob: { origin: 'https://h', conections: 3 } })
  // @ts-expect-error a service needs an origin
  createServices({ blob: { connections: 3 } })
  // @ts-expect-error a list
  createServices({ blob: { origin: 'https://h', origins: 'https://i' } })
  // @ts-expect-error a name of its own
  createServices({ fetch: { origin: 'https://h' } })
  // @ts-expect-error a name every object has
  createServices({ constructor: { origin: 'https://h' } })
}

/** Names that are known when it runs only. */
export function dynamic(options: ServicesOptions): Client | undefined {
  const services: Services = createServices(options)
  return services['blob']
}
