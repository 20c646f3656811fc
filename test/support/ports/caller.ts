/** The client of the rig: calls whose answers are not read, to a server in a process of its own beside it. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import path from 'node:path'
import * as undici from 'undici'
import { createClient } from '../../../src/index.ts'
import type { Outcome } from './rig.ts'

interface Call {
  readonly method: string
  readonly path: string
  readonly body?: string
  /** Given up when the headers are here. */
  readonly isAborted?: boolean
}

const calls: readonly Call[] = [
  { method: 'GET', path: '/blob' },
  { method: 'PUT', path: '/blob', body: 'x'.repeat(1024) },
  { method: 'DELETE', path: '/blob' },
  { method: 'GET', path: '/list' },
  { method: 'GET', path: '/missing' },
  { method: 'GET', path: '/large', isAborted: true },
]

type Send = (url: string, call: Call) => Promise<unknown>

const overFetch =
  (fetch: (url: string, init: object) => Promise<{ status: number }>): Send =>
  async (url, { method, body, isAborted }) => {
    const controller = new AbortController()
    await fetch(url, { method, ...(body && { body }), signal: controller.signal })
    if (isAborted) controller.abort()
  }

const overHttp: Send = async (url, { method, body, isAborted }) => {
  const request = http.request(url, { method }).end(body)
  await once(request, 'response')
  request.on('error', () => {})
  if (isAborted) request.destroy()
}

const clients = {
  // A pool is smaller than the number of ports, whatever the client.
  drained: () => overFetch(createClient({ connections: 64 }).fetch),
  'undici.fetch': () => {
    const dispatcher = new undici.Agent()
    return overFetch((url, init) => undici.fetch(url, { ...init, dispatcher }))
  },
  "Node's fetch": () => overFetch(globalThis.fetch),
  'node:http': () => overHttp,
}
export type ClientName = keyof typeof clients

/** Calls at once, and failures after which nothing else is to be expected. */
const [atOnce, enough] = [4, 20]

async function run(name: ClientName, each: number, url: string): Promise<Omit<Outcome, 'accepted'>> {
  const send = clients[name]()
  const started = performance.now()
  let [begun, done, failed] = [0, 0, 0]
  let firstFailure: Outcome['firstFailure']
  const worker = async (): Promise<void> => {
    while (begun < calls.length * each && failed < enough) {
      const number = ++begun
      const call = calls[Math.floor((number - 1) / each)] as Call
      try {
        await send(url + call.path, call)
        done++
      } catch (error) {
        failed++
        firstFailure ??= { call: number, code: codeOf(error) }
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return { done, failed, firstFailure, ms: Math.round(performance.now() - started) }
}

function codeOf(error: unknown): string {
  const { code, cause, message } = error as NodeJS.ErrnoException
  return code ?? (cause === undefined ? message : codeOf(cause))
}

process.on('disconnect', () => process.exit())
const origin = fork(path.join(import.meta.dirname, 'origin.ts'))
const [{ url }] = (await once(origin, 'message')) as [{ url: string }]
const [name, each] = process.argv.slice(2) as [ClientName, string]
const outcome = await run(name, Number(each), url)
origin.send('count')
const [{ accepted }] = (await once(origin, 'message')) as [{ accepted: number }]
process.send?.({ ...outcome, accepted }, () => process.exit())
