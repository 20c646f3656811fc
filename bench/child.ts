/** One measurement in a process of its own. */
import { Agent, fetch as undiciFetch, request } from 'undici'
import { createClient, drain } from '../src/index.ts'
import { clients, giveUps } from './clients.ts'

export type Task =
  | { kind: 'leak'; client: string; url: string; count: number; limit?: number }
  | { kind: 'overhead'; url: string; rounds: number; ms: number }
  | { kind: 'memory'; url: string; count: number; memory: number }
  | { kind: 'timewait'; how: string; url: string; count: number }

/** Calls without progress for this long have hung. */
const patience = 2_000

async function accepted(url: string): Promise<number> {
  const agent = new Agent()
  const { body } = await request(new URL('/counts', url), { dispatcher: agent })
  const { accepted: count } = (await body.json()) as { accepted: number }
  await agent.close()
  return count
}

async function leak({ client: name, url, count, limit }: Extract<Task, { kind: 'leak' }>): Promise<unknown> {
  const make = clients[name]
  if (make === undefined) throw new Error(`no client ${name}`)
  const client = await make(limit)
  const before = await accepted(url)
  const kept: unknown[] = []
  let done = 0
  for (; done < count; done++) {
    let timer: NodeJS.Timeout | undefined
    const hang = new Promise<'hung'>((resolve) => {
      timer = setTimeout(resolve, patience, 'hung')
    })
    const opened = await Promise.race([client.open(url).catch((error: unknown) => error), hang])
    clearTimeout(timer)
    if (opened === 'hung') break
    kept.push(opened)
  }
  // The two look-ups opened a connection each.
  return { done, sockets: (await accepted(url)) - before - 1, kept: kept.length }
}

async function overhead({ url, rounds, ms }: Extract<Task, { kind: 'overhead' }>): Promise<unknown> {
  const bare = new Agent({ connections: 50 })
  const drained = new Agent({ connections: 50 }).compose(drain())
  const client = createClient({ connections: 50 })
  const calls: Record<string, () => Promise<unknown>> = {
    'undici.fetch': async () => (await undiciFetch(url, { dispatcher: bare })).json(),
    'undici.fetch + drain()': async () => (await undiciFetch(url, { dispatcher: drained })).json(),
    'undici.fetch on client.dispatcher': async () =>
      (await undiciFetch(url, { dispatcher: client.dispatcher })).json(),
    'client.fetch': async () => (await client.fetch(url)).json(),
    'undici.request': async () => (await request(url, { dispatcher: bare })).body.json(),
    'undici.request + drain()': async () => (await request(url, { dispatcher: drained })).body.json(),
  }
  const results: Record<string, { perSecond: number[]; cpu: number[] }> = {}
  for (let round = -1; round < rounds; round++) {
    // There and back again, so that whatever drifts hits all alike.
    const order = Object.entries(calls)
    for (const [name, call] of round % 2 === 0 ? order : order.toReversed()) {
      const measured = await throughput(call, ms)
      if (round < 0) continue
      const result = (results[name] ??= { perSecond: [], cpu: [] })
      result.perSecond.push(measured.perSecond)
      result.cpu.push(measured.cpu)
    }
  }
  return results
}

async function throughput(
  call: () => Promise<unknown>,
  ms: number,
): Promise<{ perSecond: number; cpu: number }> {
  const started = performance.now()
  const cpu = process.cpuUsage()
  let done = 0
  const worker = async (): Promise<void> => {
    while (performance.now() - started < ms) {
      await call()
      done++
    }
  }
  await Promise.all(Array.from({ length: 50 }, worker))
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: done / ((performance.now() - started) / 1_000), cpu: (user + system) / done }
}

async function memory({ url, count, memory: limit }: Extract<Task, { kind: 'memory' }>): Promise<unknown> {
  const gc = (globalThis as { gc?: () => void }).gc
  const client = createClient({ drain: { memory: limit, stall: 500 } })
  await (await client.fetch(`${url}/json`)).text()
  gc?.()
  const before = process.memoryUsage().rss
  const kept: unknown[] = []
  let most = 0
  const worker = async (): Promise<void> => {
    while (kept.length < count) {
      kept.push(await client.fetch(`${url}/1048576`))
      most = Math.max(most, process.memoryUsage().rss)
    }
  }
  await worker()
  const answered = await (await client.fetch(`${url}/json`)).json()
  return { grown: most - before, kept: kept.length, answered: answered !== undefined, stats: client.stats() }
}

async function timewait({ how, url, count }: Extract<Task, { kind: 'timewait' }>): Promise<unknown> {
  const call = giveUps[how]?.()
  if (call === undefined) throw new Error(`no way ${how}`)
  let started = 0
  const worker = async (): Promise<void> => {
    while (started++ < count) await call(url)
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  return { done: count }
}

process.on('message', (task: Task) => {
  const work =
    task.kind === 'leak'
      ? leak(task)
      : task.kind === 'overhead'
        ? overhead(task)
        : task.kind === 'memory'
          ? memory(task)
          : timewait(task)
  work
    .catch((error: unknown) => ({ error: String(error) }))
    .then((result) => process.send?.(result, () => process.exit()))
    .catch(() => process.exit(1))
})
process.on('disconnect', () => process.exit())
