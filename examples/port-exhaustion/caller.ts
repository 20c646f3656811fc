/** One client in a process of its own: makes calls, keeps every answer and reads none, as forgetful code does. */
import http from 'node:http'
import https from 'node:https'
import { Agent, fetch as undiciFetch } from 'undici'
import { redactUrl } from '../../src/events.ts'
import { createClient } from '../../src/index.ts'
import { countSockets } from './sockets.ts'
import { type ClientName, type Kind, poolSize, type Progress, type Target, type Task, tick } from './task.ts'

interface Init {
  readonly method: string
  readonly body?: string
}
type Call = (url: string, init: Init) => Promise<unknown>

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
    const agents = { http: new http.Agent(options), https: new https.Agent(options) }
    return (url, init) => viaHttp(url, init, agents)
  },
}

function viaHttp(
  url: string,
  { method, body }: Init,
  agents: { readonly http: http.Agent; readonly https: https.Agent },
): Promise<unknown> {
  const isTls = url.startsWith('https:')
  return new Promise((resolve, reject) => {
    const request = (isTls ? https : http).request(
      url,
      { method, agent: isTls ? agents.https : agents.http },
      resolve,
    )
    request.on('error', reject).end(body)
  })
}

/** Here, and not in `run`, because it must outlive the calls: answers that are collected give their sockets back. */
const kept: unknown[] = []

interface Calls extends Kind {
  ended: boolean
  error?: string
  readonly kinds: Record<string, Kind>
}

async function run(task: Task): Promise<void> {
  const sockets = countSockets()
  const call = callers[task.client]()
  const init = { method: task.method, ...(task.body === undefined ? undefined : { body: task.body }) }
  const calls: Calls = { begun: 0, done: 0, failed: 0, ended: false, kinds: {} }
  const started = performance.now()
  let quiet = 0

  const report = (): void => {
    const { opened, open } = sockets
    const ms = Math.round(performance.now() - started)
    process.send?.({ ...calls, ms, opened, open, ports: sockets.ports.splice(0) } satisfies Progress)
  }

  const worker = async (): Promise<void> => {
    while (!calls.ended && calls.begun < task.count) {
      const target = task.targets[calls.begun % task.targets.length] as Target
      const kind = (calls.kinds[target.kind] ??= { begun: 0, done: 0, failed: 0 })
      for (const counted of [calls, kind]) counted.begun++
      try {
        kept.push(await call(target.url, init))
        for (const counted of [calls, kind]) counted.done++
      } catch (reason) {
        for (const counted of [calls, kind]) counted.failed++
        calls.error = describe(reason, target.url)
      }
      quiet = 0
    }
  }

  // Turns of this process and not the clock, so that a machine that is busy elsewhere is not taken for a hang.
  setInterval(() => {
    if (++quiet * tick > task.patience) calls.ended = true
    report()
  }, tick)
  await Promise.all(Array.from({ length: task.concurrency }, worker))
  calls.ended = true
  report()
}

function describe(reason: unknown, url: string): string {
  const { cause, message } = reason as Error & { cause?: { code?: string; message?: string } }
  return (cause?.code ?? cause?.message ?? message).replaceAll(url, redactUrl(url))
}

process.on('message', (task: Task) => void run(task))
process.on('disconnect', () => process.exit())
