/** What is measured as a rate: an operation, by client; each call reads its answer to the end and returns it. */
import http from 'node:http'
import net from 'node:net'
import { Agent, type Dispatcher, fetch as undiciFetch, request } from 'undici'
import { type ClientOptions, createClient, drain } from '../src/index.ts'
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

function bareDispatch(url: string): Call {
  const dispatcher = pool()
  const { origin, pathname } = new URL(url)
  return () =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      dispatcher.dispatch(
        { origin, path: pathname, method: 'GET' },
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

const jsonCalls: Record<string, Make> = {
  'client.fetch': (url) => {
    const client = createClient({ connections })
    return async () => (await client.fetch(url)).json()
  },
  'undici.fetch': (url) => {
    const dispatcher = pool()
    return async () => (await undiciFetch(url, { dispatcher })).json()
  },
  'global fetch': (url) => async () => (await globalThis.fetch(url)).json(),
  'undici.request': (url) => {
    const dispatcher = pool()
    return async () => (await request(url, { dispatcher })).body.json()
  },
  'bare dispatch': bareDispatch,
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

const policyCalls: Record<string, Make> = {
  'client.fetch': (url) => {
    const client = createClient(policies)
    return async () => (await client.fetch(url, { signal: new AbortController().signal })).json()
  },
  'undici.fetch': (url) => {
    const dispatcher = pool()
    return async () => (await undiciFetch(url, { dispatcher, signal: new AbortController().signal })).json()
  },
}

export const calls: Record<string, Record<string, Make>> = {
  json: jsonCalls,
  overhead: overheadCalls,
  policies: policyCalls,
  ...objectCalls,
  ...transfers,
}
