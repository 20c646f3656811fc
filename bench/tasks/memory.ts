/** How much answers nobody reads can take. */
import { createClient } from '../../src/index.ts'

export interface Memory {
  readonly kind: 'memory'
  readonly url: string
  readonly count: number
  readonly memory: number
}

export interface Grown {
  /** Bytes of resident memory more than before, at the most. */
  readonly grown: number
  readonly answered: boolean
}

export async function memory({ url, count, memory: limit }: Memory): Promise<Grown> {
  const client = createClient({ drain: { memory: limit, stall: 500 } })
  await (await client.fetch(`${url}/json`)).text()
  ;(globalThis as { gc?: () => void }).gc?.()
  const before = process.memoryUsage().rss
  const kept: unknown[] = []
  let most = 0
  while (kept.length < count) {
    kept.push(await client.fetch(`${url}/1048576`))
    most = Math.max(most, process.memoryUsage().rss)
  }
  const answered = (await (await client.fetch(`${url}/json`)).json()) !== undefined
  return { grown: most - before, answered }
}
