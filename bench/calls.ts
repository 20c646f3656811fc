/** What is measured as a rate: an operation, by client; each call reads its answer to the end and returns it. */
import http from 'node:http'
import net from 'node:net'
import { Agent, type Dispatcher, fetch as undiciFetch, request } from 'undici'
import { type ClientOptions, createClient, createServices, drain } from '../src/index.ts'
import { blobCalls } from './blobs.ts'
import { meteredCalls } from './metered.ts'
import { objectCalls } from './objects.ts'
import { type Make, transfers } from './transfers.ts'

type Call = () => Promise<unknown>

const connections = 50
const policies: ClientOptions = {
  connections,
  timeout: { connect: 10_000, queue: 10_000, headers: 10_000, body: 10_000, total: 60_000 },
}

const pool = (): Dispatcher => new Agent({ connections })
const httpAgent = (): http.Agent => new http.Agent({ keepAlive: true, maxSockets: connections })

/** What a fetch without headers of its own sends to this origin. */
const fetchHeaders = {
  accept: '*/*',
  'accept-language': '*',
  'sec-fetch-mode': 'cors',
  'user-agent': 'undici',
  'accept-encoding': 'gzip, deflate',
}

function bareDispatch(url: string, headers?: Readonly<Record<string, string>>): Call {
  const dispatcher = pool()
  const { origin, pathname } = new URL(url)
  return () =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      dispatcher.dispatch(
        { origin, path: pathname, method: 'GET', ...(headers && { headers: { ...headers } }) },
        {
          onRequestStart() {},
          onResponseStart() {},
          onResponseData: (_, chunk) => void chunks.push(chunk),
          onResponseEnd: () => resolve(JSON.parse(Buffer.concat(chunks).toString())),
          onResponseError: (_, error) => reject(error),
        },
      )
    })
}

/** No HTTP at all: what origin and sockets can do. */
function rawSockets(url: string): Call {
  const { hostname, port, pathname, host } = new URL(url)
  const wanted = `GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n\r\n`
  const idle: net.Socket[] = []
  return () =>
    new Promise((resolve, reject) => {
      const socket = idle.pop() ?? net.connect({ host: hostname, port: Number(port), noDelay: true })
      socket.once('error', reject).once('data', (answer: Buffer) => {
        socket.off('error', reject)
        idle.push(socket)
        resolve(JSON.parse(answer.toString('latin1', answer.indexOf('{'))))
      })
      socket.write(wanted)
    })
}

function clientFetch(url: string): Call {
  const client = createClient({ connections })
  return async () => (await client.fetch(url)).json()
}

const jsonCalls: Record<string, Make> = {
  'client.fetch': clientFetch,
  'client.fetch, once more': clientFetch,
  'undici.fetch': (url) => {
    const dispatcher = pool()
    return async () => (await undiciFetch(url, { dispatcher })).json()
  },
  'global fetch': (url) => async () => (await globalThis.fetch(url)).json(),
  'undici.request': (url) => {
    const dispatcher = pool()
    return async () => (await request(url, { dispatcher })).body.json()
  },
  'bare dispatch': (url) => bareDispatch(url),
  "bare dispatch, fetch's headers": (url) => bareDispatch(url, fetchHeaders),
  got: async (url) => {
    const { default: got } = await import('got')
    const options = { agent: { http: httpAgent() }, retry: { limit: 0 } }
    return () => got(url, options).json()
  },
  axios: async (url) => {
    const { default: axios } = await import('axios')
    const options = { httpAgent: httpAgent() }
    return async () => (await axios.get<unknown>(url, options)).data
  },
  ky: async (url) => {
    const { default: ky } = await import('ky')
    return () => ky.get(url, { retry: 0 }).json()
  },
  'node-fetch': async (url) => {
    const { default: nodeFetch } = await import('node-fetch')
    const agent = httpAgent()
    return async () => (await nodeFetch(url, { agent })).json()
  },
  'make-fetch-happen': async (url) => {
    // @ts-expect-error it has no types of its own
    const { default: makeFetchHappen } = (await import('make-fetch-happen')) as { default: typeof fetch }
    const options = { retry: false, maxSockets: connections } as RequestInit
    return async () => (await makeFetchHappen(url, options)).json()
  },
  'raw sockets': rawSockets,
}

const overheadCalls: Record<string, Make> = {
  'undici.fetch': jsonCalls['undici.fetch']!,
  'undici.fetch, once more': jsonCalls['undici.fetch']!,
  'undici.fetch + drain()': (url) => {
    const dispatcher = new Agent({ connections }).compose(drain())
    return async () => (await undiciFetch(url, { dispatcher })).json()
  },
  'undici.fetch on client.dispatcher': (url) => {
    const { dispatcher } = createClient({ connections })
    return async () => (await undiciFetch(url, { dispatcher })).json()
  },
  'undici.request': jsonCalls['undici.request']!,
  'undici.request + drain()': (url) => {
    const dispatcher = new Agent({ connections }).compose(drain())
    return async () => (await request(url, { dispatcher })).body.json()
  },
}

/** What it costs to know where a call was made; nobody listens to any channel. */
function traced(leaks: NonNullable<ClientOptions['leaks']>): Make {
  return (url) => {
    const client = createClient({ connections, leaks })
    return async () => (await client.fetch(url)).json()
  }
}

const reportCalls: Record<string, Make> = {
  'leaks: off': traced('off'),
  'leaks: off, once more': traced('off'),
  'leaks: sample': traced('sample'),
  'leaks: all': traced('all'),
}

/** A policy that is never needed, and limits that are never met. */
const retrying: ClientOptions = { connections, retry: true, timeout: { attempt: 10_000, total: 60_000 } }

const policyCalls: Record<string, Make> = {
  'client.fetch, no options': jsonCalls['client.fetch']!,
  'client.fetch, retry and timeout': (url) => {
    const client = createClient(retrying)
    return async () => (await client.fetch(url)).json()
  },
  'client.fetch': (url) => {
    const client = createClient(policies)
    return async () => (await client.fetch(url, { signal: new AbortController().signal })).json()
  },
  'undici.fetch': (url) => {
    const dispatcher = pool()
    return async () => (await undiciFetch(url, { dispatcher, signal: new AbortController().signal })).json()
  },
}

/** The same server under two names is two origins: one service for each. All calls wait but one, whose answer is not read. */
async function beside(url: string, waiting: number): Promise<Call> {
  const endless = new URL('/endless', url)
  endless.hostname = 'localhost'
  const services = createServices({
    busy: { origin: url, connections },
    starving: { origin: endless, connections: 1, drain: { stall: 600_000 } },
  })
  const answered: unknown[] = []
  const answer = (each: unknown): void => void answered.push(each)
  if (waiting > 0) answer(await services.fetch(endless))
  for (let i = 0; i < waiting; i++) services.fetch(endless).then(answer, answer)
  if (services.stats().starving.requests.waiting !== waiting) throw new Error('calls do not wait')
  return async () => {
    if (answered.length > 1) throw new Error('calls do not wait any more')
    return (await services.fetch(url)).json()
  }
}

const serviceCalls: Record<string, Make> = {
  alone: (url) => beside(url, 0),
  'beside one that starves': (url) => beside(url, 100),
}

export const calls: Record<string, Record<string, Make>> = {
  json: jsonCalls,
  overhead: overheadCalls,
  policies: policyCalls,
  reports: reportCalls,
  services: serviceCalls,
  metrics: meteredCalls,
  blobs: blobCalls,
  ...objectCalls,
  ...transfers,
}
