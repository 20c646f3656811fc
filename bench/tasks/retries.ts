/** Calls through retries to an origin that fails: what came of them, and what is left. */
import { createClient } from '../../src/index.ts'
import { messageOf } from '../run.ts'

export interface Retrying {
  readonly kind: 'retries'
  /** Each call adds its number. */
  readonly url: string
  readonly count: number
  readonly atOnce: number
}

export interface Retried {
  readonly statuses: Readonly<Record<string, number>>
  readonly failures: readonly string[]
  /** Sockets, requests and bodies that are not idle or ended when all calls are done. */
  readonly left: number
  readonly seconds: number
}

export async function retries({ url, count, atOnce }: Retrying): Promise<Retried> {
  const client = createClient({ retry: true })
  const started = performance.now()
  const statuses: Record<string, number> = {}
  const failures: string[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      try {
        const response = await client.fetch(`${url}${next++}`)
        await response.arrayBuffer()
        statuses[response.status] = (statuses[response.status] ?? 0) + 1
      } catch (error) {
        failures.push(messageOf(error))
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const seconds = (performance.now() - started) / 1_000
  // A connection is free at the end of the turn in which its response has ended.
  await new Promise((resolve) => setTimeout(resolve, 100))
  const { sockets, requests, bodies } = client.stats()
  const left = sockets.open - sockets.idle + requests.waiting + requests.inFlight + bodies.open
  return { statuses, failures: [...new Set(failures)], left, seconds }
}
