/** Storage for an example: the account of AZURE_STORAGE_CONNECTION_STRING, else an Azurite in this process, its telemetry off. */
import type http from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'

interface Server {
  readonly httpServer: http.Server
  start(): Promise<void>
  close(): Promise<void>
}
type Constructor<T> = new (...args: readonly unknown[]) => T

const require = createRequire(import.meta.url)
const load = (path: string): Constructor<Server> =>
  (require(`azurite/dist/src/${path}`) as { default: Constructor<Server> }).default

/** The account that every Azurite has, and its public key. */
export const account = 'devstoreaccount1'
export const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
/** Seconds an idle connection is kept. */
const keepAlive = 5

export interface Counted {
  readonly url: string
  /** Connections accepted so far, and open now. */
  accepted: number
  open: number
}

export interface Azurite extends AsyncDisposable {
  readonly blob: Counted
  readonly queue: Counted
  readonly table: Counted
}

async function start(server: Server): Promise<Counted> {
  await server.start()
  const { port } = server.httpServer.address() as AddressInfo
  const counted = { url: `http://127.0.0.1:${port}/${account}`, accepted: 0, open: 0 }
  server.httpServer.on('connection', (socket) => {
    counted.accepted++
    counted.open++
    socket.on('close', () => counted.open--)
  })
  return counted
}

/** In memory, and without the check of API versions, which lags behind the SDKs. */
export async function startAzurite(): Promise<Azurite> {
  const [Blob, BlobOptions] = [load('blob/BlobServer'), load('blob/BlobConfiguration')]
  const [Queue, QueueOptions] = [load('queue/QueueServer'), load('queue/QueueConfiguration')]
  const [Table, TableOptions] = [load('table/TableServer'), load('table/TableConfiguration')]
  const address = ['127.0.0.1', 0, keepAlive]
  const log = [false, undefined, false, undefined, false, true, '', '', '', undefined, false, true]
  const tableLog = [false, false, undefined, undefined, false, true, '', '', '', undefined, false, true]
  const servers = [
    new Blob(new BlobOptions(...address, '', '', undefined, ...log)),
    new Queue(new QueueOptions(...address, '', '', undefined, ...log)),
    new Table(new TableOptions(...address, '', ...tableLog)),
  ] as const
  const [blob, queue, table] = await Promise.all([start(servers[0]), start(servers[1]), start(servers[2])])
  return {
    blob,
    queue,
    table,
    async [Symbol.asyncDispose]() {
      for (const { httpServer } of servers) httpServer.closeAllConnections()
      await Promise.all(servers.map((server) => server.close()))
    },
  }
}

export interface Storage extends AsyncDisposable {
  readonly connectionString: string
  /** It is an Azurite, and speaks http: only. */
  readonly isLocal: boolean
}

export async function storage(): Promise<Storage> {
  const given = process.env['AZURE_STORAGE_CONNECTION_STRING']
  if (given !== undefined)
    return { connectionString: given, isLocal: false, async [Symbol.asyncDispose]() {} }
  const azurite = await startAzurite()
  const { blob, queue, table } = azurite
  const endpoints = `BlobEndpoint=${blob.url};QueueEndpoint=${queue.url};TableEndpoint=${table.url}`
  return {
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};${endpoints}`,
    isLocal: true,
    [Symbol.asyncDispose]: () => azurite[Symbol.asyncDispose](),
  }
}
