/** A client for one test: at its end nothing may be open, waiting or draining. */
import { expect } from 'vitest'
import { type Client, type ClientOptions, createClient } from '../../src/index.ts'
import { until } from './until.ts'

export function testClient(options: ClientOptions = {}): Client & AsyncDisposable {
  const client = createClient({ connections: 1, ...options })
  return {
    ...client,
    async [Symbol.asyncDispose]() {
      await until(() => client.stats().sockets.draining === 0, 'drains ended')
      await client.destroy()
      await until(() => client.stats().sockets.open === 0, 'sockets closed')
      const { requests, bodies, bytes } = client.stats()
      expect(requests).toMatchObject({ waiting: 0, inFlight: 0 })
      // Whole bodies that the test still holds are all that may be left.
      expect(bodies.open).toBe(bodies.holding)
      expect(bytes.held > 0).toBe(bodies.holding > 0)
    },
  }
}

/** Names of the lanes and what sends a call to each: undici itself has to do the second, for a reason that changes nothing. */
export const bothLanes = [
  ['short lane', {}],
  ['long lane', { cache: 'no-cache' }],
] as const satisfies [string, RequestInit][]

/** The body of a small answer: proof that the client still works. */
export async function works(client: Client, url: string): Promise<void> {
  expect(await (await client.fetch(`${url}/ok`)).text()).toBe('ok')
}
