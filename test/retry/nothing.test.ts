/** Mocks that answer with nothing, and Requests of whatever make: retries hand on what there is, and change nothing of what is sent. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import nodeFetch, { Request as NodeFetchRequest } from 'node-fetch'
import { expect, test } from 'vitest'
import { type FetchInit, wrap } from '../../src/index.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const settings: Record<string, FetchInit> = {
  retry: { retry: true },
  hedge: { hedge: { after: 600_000 } },
  'both, asked about successes': { retry: { shouldRetry: () => true }, hedge: { after: 600_000 } },
}

for (const [name, init] of Object.entries(settings)) {
  test.each([undefined, null])(`${name}: a mock that answers with %s is handed on, once`, async (nothing) => {
    let calls = 0
    const call = wrap(async () => (calls++, nothing) as never, { retry: { backoff: { initial: 1 } } })
    expect(await call('http://service.test/', init)).toBe(nothing)
    expect(calls).toBe(1)
  })
}

test('with a second request under way, the last mock that answers with nothing wins', async () => {
  const call = wrap(async () => null as never, { hedge: { after: 0 } })
  expect(await call('http://service.test/')).toBeNull()
})

/** Of a polyfill: it has no `body` that anybody could look at. */
class BareRequest {
  readonly url = 'http://service.test/'
  readonly method: string
  readonly headers = new Headers({ 'x-own': '1' })
  readonly signal = null
  readonly [Symbol.toStringTag] = 'Request'
  constructor(method = 'GET') {
    this.method = method
  }
}

test('a Request that shows no body is sent as it is, again if its method has none', async () => {
  for (const [method, times] of [
    ['GET', 2],
    ['PUT', 1],
  ] as const) {
    const request = new BareRequest(method)
    const seen: unknown[] = []
    const mock = async (input: unknown): Promise<Response> =>
      new Response(null, { status: seen.push(input) === 1 ? 503 : 200 })
    const call = wrap(mock, { retry: { backoff: { initial: 1 } } })
    const response = await call(request as unknown as Request)
    expect(seen).toEqual(Array.from({ length: times }, () => request))
    expect(response.status).toBe(times === 1 ? 503 : 200)
  }
})

test('a Request of node-fetch without a body is sent as it is, its agent included', async () => {
  const agents = new Set<unknown>()
  let requests = 0
  const server = http.createServer((_, outgoing) =>
    outgoing.writeHead(++requests === 1 ? 503 : 200).end('ok'),
  )
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  class Counting extends http.Agent {
    override createConnection(...given: Parameters<http.Agent['createConnection']>): never {
      agents.add(this)
      return super.createConnection(...given) as never
    }
  }
  const agent = new Counting({ keepAlive: true })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const call = wrap(nodeFetch, { retry: { backoff: { initial: 1 } } })
  const request = new NodeFetchRequest(url, { agent })
  expect(await (await call(request as unknown as Request)).text()).toBe('ok')
  expect(requests).toBe(2)
  expect([...agents]).toEqual([agent])
  agent.destroy()
  await new Promise((resolve) => void server.close(resolve))
})
