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

async function run(task: Task): Promise<void> {
  const sockets = countSockets()
  const call = callers[task.client]()
  const init = { method: task.method, ...(task.body === undefined ? undefined : { body: task.body }) }
  const kinds: Record<string, Kind> = {}
  let [begun, done, failed, quiet, ended] = [0, 0, 0, 0, false]
  let error: string | undefined

  const report = (): void => {
    const ports = sockets.ports.splice(0)
    const { opened, open } = sockets
    const state = { done, failed, ended, kinds, opened, open, ports } satisfies Progress
    process.send?.(error === undefined ? state : { ...state, error })
  }

  const worker = async (): Promise<void> => {
    while (!ended && begun < task.count) {
      const target = task.targets[begun++ % task.targets.length] as Target
      const kind = (kinds[target.kind] ??= { begun: 0, done: 0, failed: 0 })
      kind.begun++
      try {
        kept.push(await call(target.url, init))
        done++
        kind.done++
      } catch (reason) {
        failed++
        kind.failed++
        error = describe(reason, target.url)
      }
      quiet = 0
    }
  }

  // Turns of this process and not the clock, so that a machine that is busy elsewhere is not taken for a hang.
  setInterval(() => {
    if (++quiet * tick > task.patience) ended = true
    report()
  }, tick)
  await Promise.all(Array.from({ length: task.concurrency }, worker))
  ended = true
  report()
}

function describe(reason: unknown, url: string): string {
  const { cause, message } = reason as Error & { cause?: { code?: string; message?: string } }
  return (cause?.code ?? cause?.message ?? message).replaceAll(url, redactUrl(url))
}

process.on('message', (task: Task) => void run(task))
process.on('disconnect', () => process.exit())
