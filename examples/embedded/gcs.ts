/** A small Google Cloud Storage in this process: upload, download, list, delete and errors of the JSON API, GET and PUT of the XML API. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface Gcs extends AsyncDisposable {
  readonly url: string
  /** Connections accepted so far. */
  accepted: number
  /** `METHOD /path` of every request, in order. */
  readonly seen: string[]
  /** Answers the next requests, as many as there are statuses, with these. */
  failures: number[]
}

interface Stored {
  readonly bytes: Buffer
  readonly type: string
  readonly encoding: string | undefined
}

export async function startGcs(): Promise<Gcs> {
  const objects = new Map<string, Stored>()
  const server = createServer((request, response) => {
    self.seen.push(`${request.method} ${request.url}`)
    void answer(request, response, objects, self.failures.shift())
  })
  server.on('connection', () => self.accepted++)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const self: Gcs = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accepted: 0,
    seen: [],
    failures: [],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
  return self
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  objects: Map<string, Stored>,
  failure: number | undefined,
): Promise<void> {
  response.on('error', () => {})
  const { method, headers } = request
  const url = new URL(request.url ?? '/', 'http://localhost')
  const [, upload, bucket, given] =
    /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o(?:\/(.+))?$/.exec(url.pathname) ?? []
  const isXml = bucket === undefined
  const key = isXml
    ? url.pathname
    : `/${bucket}/${decodeURIComponent(given ?? url.searchParams.get('name') ?? '')}`
  const bytes = await buffer(request).catch(() => Buffer.alloc(0))
  const json = (status: number, value: object): void => {
    response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' })
    response.end(JSON.stringify(value))
  }
  const resource = (name: string, { type, bytes }: Stored): object => ({
    kind: 'storage#object',
    name: name.slice(name.indexOf('/', 1) + 1),
    bucket,
    contentType: type,
    size: String(bytes.length),
  })
  if (failure !== undefined)
    return json(failure, {
      error: { code: failure, message: 'Try again.', errors: [{ reason: 'backendError' }] },
    })
  if (method === 'PUT' || (method === 'POST' && upload !== undefined)) {
    const encoding = headers['content-encoding'] ?? url.searchParams.get('contentEncoding') ?? undefined
    objects.set(key, { bytes, type: headers['content-type'] ?? 'application/octet-stream', encoding })
    return isXml ? void response.end() : json(200, resource(key, objects.get(key) as Stored))
  }
  if (!isXml && given === undefined) {
    const prefix = `/${bucket}/${url.searchParams.get('prefix') ?? ''}`
    const found = [...objects].filter(([name]) => name.startsWith(prefix))
    return json(200, { kind: 'storage#objects', items: found.map(([name, each]) => resource(name, each)) })
  }
  const stored = objects.get(key)
  if (stored === undefined) {
    const message = `No such object: ${key.slice(1)}`
    return json(404, {
      error: { code: 404, message, errors: [{ message, domain: 'global', reason: 'notFound' }] },
    })
  }
  if (method === 'DELETE') {
    objects.delete(key)
    return void response.writeHead(204).end()
  }
  if (!isXml && url.searchParams.get('alt') !== 'media') return json(200, resource(key, stored))
  const { type, encoding } = stored
  const head = { 'content-type': type, 'content-length': stored.bytes.length, 'accept-ranges': 'bytes' }
  response.writeHead(200, { ...head, ...(encoding !== undefined && { 'content-encoding': encoding }) })
  response.end(method === 'HEAD' ? '' : stored.bytes)
}
