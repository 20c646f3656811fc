/** Calls whose answers nobody reads. */
import { createClient } from '../../src/index.ts'
import { clients } from '../clients.ts'
import { messageOf } from '../run.ts'

export interface Leak {
  readonly kind: 'leak'
  readonly client: string
  readonly url: string
  readonly count: number
  readonly limit?: number
  /** Whether the answers stay referenced. */
  readonly keeps: boolean
}

export interface Leaked {
  /** Calls that ended, one way or the other; fewer than asked for if one hung. */
  readonly done: number
  readonly failures: readonly string[]
}

/** A call without an answer for this long has hung. */
const patience = 2_000

export async function leak({ client: name, url, count, limit, keeps }: Leak): Promise<Leaked> {
  const client = await clients[name]?.(limit)
  if (client === undefined) throw new Error(`no client ${name}`)
  const kept: unknown[] = []
  const failures: string[] = []
  let done = 0
  for (; done < count; done++) {
    let timer: NodeJS.Timeout | undefined
    const hang = new Promise<'hung'>((resolve) => {
      timer = setTimeout(resolve, patience, 'hung')
    })
    try {
      const opened = await Promise.race([client.open(url), hang])
      if (opened === 'hung') break
      if (keeps) kept.push(opened)
    } catch (error) {
      failures.push(messageOf(error))
    } finally {
      clearTimeout(timer)
    }
  }
  return { done, failures }
}

export interface Endless {
  readonly kind: 'endless'
  readonly url: string
  readonly count: number
  readonly limit: number
  readonly atOnce: boolean
}

/** Milliseconds until every call has its answer; none is read, all are kept. */
export async function endless({ url, count, limit, atOnce }: Endless): Promise<{ ms: number; kept: number }> {
  const client = createClient({ connections: limit, drain: { stall: 500 } })
  const started = performance.now()
  const kept: Response[] = []
  const open = async (): Promise<void> => void kept.push(await client.fetch(url))
  if (atOnce) await Promise.all(Array.from({ length: count }, open))
  else for (let done = 0; done < count; done++) await open()
  return { ms: performance.now() - started, kept: kept.length }
}
