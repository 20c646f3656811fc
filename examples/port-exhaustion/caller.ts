/** One client in a process of its own: makes calls, keeps every answer and reads none, as forgetful code does. */
import http from 'node:http'
import https from 'node:https'
import { Agent, fetch as undiciFetch } from 'undici'
import { createClient } from '../../src/index.ts'

/** What the parent asks for. */
export interface Task {
  readonly client: ClientName
  readonly urls: readonly string[]
  readonly count: number
  readonly concurrency: number
  readonly method: string
  readonly body: string | undefined
  /** Milliseconds without any progress after which the client counts as hung. */
  readonly patience: number
}

/** What it hears while the calls run, and at the end. */
export interface Progress {
  readonly done: number
  readonly failed: number
  readonly ended: boolean
  readonly error?: string
}

export const clientNames = ['drained', 'undici', 'node', 'http'] as const
export type ClientName = (typeof clientNames)[number]

/** Connections each may have. Node's own fetch has no such option. */
export const poolSize = 8

type Call = (url: string, init: { method: string; body?: string }) => Promise<unknown>

const callers: Record<ClientName, () => Call> = {
  drained: () => {
    // A blob of 8 MiB and a feed without end stay unread; half a second is long for a demonstration.
    const client = createClient({ connections: poolSize, drain: { stall: 500 } })
    return (url, init) => client.fetch(url, init)
  },
  undici: () => {
    const dispatcher = new Agent({ connections: poolSize })
    return (url, init) => undiciFetch(url, { ...init, dispatcher })
  },
  node: () => (url, init) => globalThis.fetch(url, init),
  http: () => {
    const options = { keepAlive: true, maxSockets: poolSize }
    const agents = { 'http:': new http.Agent(options), 'https:': new https.Agent(options) }
    return (url, { method, body }) => viaHttp(url, method, body, agents)
  },
}

function viaHttp(
  url: string,
  method: string,
  body: string | undefined,
  agents: Record<string, http.Agent>,
): Promise<unknown> {
  const { protocol } = new URL(url)
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? https : http).request(
      url,
      { method, agent: agents[protocol] },
      resolve,
    )
    request.on('error', reject).end(body)
  })
}

async function run(task: Task): Promise<void> {
  const call = callers[task.client]()
  const kept: unknown[] = []
  let [started, done, failed, lastProgress] = [0, 0, 0, performance.now()]
  let error: string | undefined
  const report = (ended: boolean): void =>
    void process.send?.({
      done,
      failed,
      ended,
      ...(error === undefined ? undefined : { error }),
    } satisfies Progress)
  const worker = async (): Promise<void> => {
    while (started < task.count) {
      const url = task.urls[started++ % task.urls.length] as string
      try {
        kept.push(
          await call(url, {
            method: task.method,
            ...(task.body === undefined ? undefined : { body: task.body }),
          }),
        )
        done++
      } catch (reason) {
        failed++
        error = describe(reason)
      }
      lastProgress = performance.now()
    }
  }
  const ticker = setInterval(() => {
    const isHung = performance.now() - lastProgress > task.patience
    report(isHung)
    if (isHung) clearInterval(ticker)
  }, 100)
  await Promise.all(Array.from({ length: task.concurrency }, worker))
  clearInterval(ticker)
  report(true)
}

function describe(reason: unknown): string {
  const { cause, message } = reason as Error & { cause?: { code?: string; message?: string } }
  return cause?.code ?? cause?.message ?? message
}

// Only as a child: the parent imports the names above.
if (process.argv[1]?.endsWith('caller.ts') === true) {
  process.on('message', (task: Task) => void run(task))
  process.on('disconnect', () => process.exit())
}
