/** An API as libraries call it, and a client whose connections are counted at the origin. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import type { Client, ClientOptions } from '../../src/index.ts'
import { testClient } from '../support/client.ts'

export interface Api extends AsyncDisposable {
  readonly url: string
  readonly client: Client
  readonly fetch: Client['fetch']
  /** Connections the server has accepted. */
  accepted: number
  /** `METHOD /path` of every request, in order. */
  readonly seen: string[]
}

/** Bytes of an error's body: more than any buffer between, so that a client that leaves it unread holds a socket. */
export const errorSize = 512 * 1024

export async function api(options: ClientOptions = {}): Promise<Api> {
  const failures = new Map<string, number>()
  const server = createServer((request, response) => {
    self.seen.push(`${request.method} ${request.url}`)
    void answer(request, response, failures)
  })
  server.on('connection', () => self.accepted++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = testClient({ connections: 8, ...options })
  const self: Api = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    client,
    fetch: client.fetch,
    accepted: 0,
    seen: [],
    async [Symbol.asyncDispose]() {
      await (client as unknown as AsyncDisposable)[Symbol.asyncDispose]()
      server.closeAllConnections()
      server.close()
    },
  }
  return self
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  failures: Map<string, number>,
): Promise<void> {
  response.on('error', () => {})
  const url = new URL(request.url ?? '/', 'http://localhost')
  const json = (status: number, value: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(value))
  }
  switch (url.pathname) {
    case '/items':
      if (request.method === 'GET')
        return json(200, { items: [1, 2, 3], query: Object.fromEntries(url.searchParams) })
      return json(201, {
        method: request.method,
        type: request.headers['content-type'],
        body: await bodyOf(request),
      })
    case '/headers':
      return json(200, request.headers)
    case '/moved':
      response.writeHead(302, { location: '/items' })
      return void response.end('x'.repeat(errorSize))
    case '/missing':
      return json(404, { error: 'missing', filler: 'x'.repeat(errorSize) })
    case '/flaky': {
      const count = (failures.get(url.search) ?? 0) + 1
      failures.set(url.search, count)
      return count < 3 ? json(503, { filler: 'x'.repeat(errorSize) }) : json(200, { attempts: count })
    }
    case '/slow':
      await new Promise((resolve) => response.once('close', resolve).once('finish', resolve))
      return
    case '/lines':
      response.writeHead(200, { 'content-type': 'text/plain' })
      for (const line of ['one\n', 'two\n', 'three\n']) response.write(line)
      return void response.end()
    case '/text':
      return void response.end('plain')
    case '/empty':
      response.writeHead(204)
      return void response.end()
    case '/broken':
      return void request.socket.destroy()
    default:
      return json(200, { path: url.pathname })
  }
}

/** The library has left bodies unread or cancelled them, one call after another: they cost no connection. */
export function expectReused(origin: Api, atMost = 1): void {
  expect(origin.seen.length).toBeGreaterThan(atMost)
  expect(origin.accepted).toBeLessThanOrEqual(atMost)
}
