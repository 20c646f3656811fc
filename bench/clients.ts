/** Every client as its users write it: `open` makes a call and returns what it gets, unread; `give up` ends one early. */
import http from 'node:http'
import https from 'node:https'
import { Agent, fetch as undiciFetch, request } from 'undici'
import { DrainedAgent, DrainedHttpsAgent } from '../src/adapters/node-http.ts'
import { createClient, drain } from '../src/index.ts'

export interface BenchClient {
  open(url: string): Promise<unknown>
}

/** `limit` is undefined where the client has none, or is to have none. */
type Make = (limit: number | undefined) => Promise<BenchClient> | BenchClient

const pool = (limit: number | undefined): Agent =>
  new Agent(limit === undefined ? {} : { connections: limit })
const stall = { stall: 500 }
const httpAgent = (limit: number | undefined): http.Agent =>
  new http.Agent({ keepAlive: true, maxSockets: limit ?? Infinity })
const drainedAgent = (limit: number | undefined): http.Agent =>
  new DrainedAgent({ maxSockets: limit ?? Infinity, drain: stall })
const insecure = { rejectUnauthorized: false }

type Open = BenchClient['open']

const throughHttp =
  (agent: http.Agent): Open =>
  (url) =>
    new Promise((resolve, reject) => http.get(url, { agent }, resolve).on('error', reject))

async function throughGot(agent: http.Agent): Promise<Open> {
  const { default: got } = await import('got')
  const options = { agent: { http: agent }, retry: { limit: 0 }, throwHttpErrors: false }
  return (url) =>
    new Promise((resolve, reject) => {
      const stream = got.stream(url, options)
      stream.on('response', () => resolve(stream)).on('error', reject)
    })
}

async function throughAxios(httpAgent: http.Agent): Promise<Open> {
  const { default: axios } = await import('axios')
  const options = { responseType: 'stream', httpAgent, validateStatus: () => true } as const
  return (url) => axios.get(url, options)
}

async function throughNodeFetch(agent: http.Agent): Promise<Open> {
  const { default: nodeFetch } = await import('node-fetch')
  return (url) => nodeFetch(url, { agent })
}

export const clients: Record<string, Make> = {
  drained: (limit) => {
    const client = createClient({ connections: limit ?? 100_000, drain: stall })
    return { open: (url) => client.fetch(url) }
  },
  // A window of null changes nothing, but is not for the short lane.
  'drained, long lane': (limit) => {
    const client = createClient({ connections: limit ?? 100_000, drain: stall })
    return { open: (url) => client.fetch(url, { window: null }) }
  },
  'drain() under undici.fetch': (limit) => {
    const dispatcher = pool(limit).compose(drain(stall))
    return { open: (url) => undiciFetch(url, { dispatcher }) }
  },
  'drain() under undici.request': (limit) => {
    const dispatcher = pool(limit).compose(drain(stall))
    return { open: (url) => request(url, { dispatcher }) }
  },
  'undici.fetch': (limit) => {
    const dispatcher = pool(limit)
    return { open: (url) => undiciFetch(url, { dispatcher }) }
  },
  'undici.request': (limit) => {
    const dispatcher = pool(limit)
    return { open: (url) => request(url, { dispatcher }) }
  },
  'global fetch': () => ({ open: (url) => globalThis.fetch(url) }),
  'node:http': (limit) => ({ open: throughHttp(httpAgent(limit)) }),
  'node:http with DrainedAgent': (limit) => ({ open: throughHttp(drainedAgent(limit)) }),
  got: async (limit) => ({ open: await throughGot(httpAgent(limit)) }),
  'got with DrainedAgent': async (limit) => ({ open: await throughGot(drainedAgent(limit)) }),
  axios: async (limit) => ({ open: await throughAxios(httpAgent(limit)) }),
  'axios with DrainedAgent': async (limit) => ({ open: await throughAxios(drainedAgent(limit)) }),
  ky: async () => {
    const { default: ky } = await import('ky')
    return { open: (url) => ky.get(url, { retry: 0, throwHttpErrors: false }) }
  },
  'node-fetch': async (limit) => ({ open: await throughNodeFetch(httpAgent(limit)) }),
  'node-fetch with DrainedAgent': async (limit) => ({ open: await throughNodeFetch(drainedAgent(limit)) }),
  'make-fetch-happen': async (limit) => {
    // @ts-expect-error it has no types of its own
    const { default: makeFetchHappen } = (await import('make-fetch-happen')) as { default: typeof fetch }
    const options = {
      retry: false,
      ...(limit === undefined ? { maxSockets: Infinity } : { maxSockets: limit }),
    }
    return { open: (url) => makeFetchHappen(url, options as RequestInit) }
  },
}

/** Those that cannot be limited. */
export const unlimited: readonly string[] = ['global fetch', 'ky']

/** Ways to give a body up after its headers, for the TIME_WAIT bench. */
export const giveUps: Record<string, () => (url: string) => Promise<void>> = {
  'drained, body.cancel()': () => {
    const client = createClient({ connections: 16, tls: insecure })
    return async (url) => void (await (await client.fetch(url)).body?.cancel())
  },
  'undici.fetch, body.cancel()': () => {
    const dispatcher = new Agent({ connections: 16, connect: insecure })
    return async (url) => void (await (await undiciFetch(url, { dispatcher })).body?.cancel())
  },
  'node:http, destroy()': () => {
    const options = { keepAlive: true, maxSockets: 16 }
    return destroys(new http.Agent(options), new https.Agent({ ...options, ...insecure }))
  },
  'node:http with DrainedAgent, destroy()': () => {
    const options = { maxSockets: 16 }
    return destroys(new DrainedAgent(options), new DrainedHttpsAgent({ ...options, ...insecure }))
  },
}

const destroys =
  (plain: http.Agent, secure: https.Agent): ((url: string) => Promise<void>) =>
  (url) =>
    new Promise((resolve, reject) => {
      const isTls = url.startsWith('https')
      const get = isTls ? https.get : http.get
      get(url, { agent: isTls ? secure : plain }, (response) => {
        response.on('error', () => {}).destroy()
        resolve()
      }).on('error', reject)
    })
