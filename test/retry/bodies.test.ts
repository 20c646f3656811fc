/** Bodies under retries: each attempt sends what the call was given, or none is sent; and what is not sent is not left open. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { FormData as UndiciFormData, Request as UndiciRequest } from 'undici'
import { BodyNotReplayableError, type Client, type FetchInit } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { listen } from '../support/listen.ts'
import { refused } from '../support/refused.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

interface Received {
  readonly method: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** Answers 503 so many times, then 200. */
async function busy(times = 1): Promise<AsyncDisposable & { url: string; received: Received[] }> {
  const received: Received[] = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.setEncoding('latin1').on('data', (text: string) => (body += text))
    request.on('end', () => {
      received.push({ method: request.method ?? '', headers: request.headers, body })
      response.writeHead(received.length > times ? 200 : 503).end('x'.repeat(1_000))
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => void server.close(resolve))
    },
  }
}

const retrying = (): Client & AsyncDisposable =>
  testClient({ connections: 4, retry: { backoff: { initial: 1, max: 2 } } })
/** A wait in which the test can do something. */
const slowly = { backoff: { initial: 60, jitter: 'none' as const } }

const classes = {
  Node: { OneRequest: Request, OneFormData: FormData },
  undici: {
    OneRequest: UndiciRequest as unknown as typeof Request,
    OneFormData: UndiciFormData as unknown as typeof FormData,
  },
}

for (const [name, { OneRequest, OneFormData }] of Object.entries(classes)) {
  const bodies: [string, () => RequestInit['body'], string][] = [
    ['text', () => 'content', 'content'],
    ['an empty text', () => '', ''],
    ['bytes', () => Buffer.from('content'), 'content'],
    ['a Blob', () => new Blob(['content']), 'content'],
    ['URLSearchParams', () => new URLSearchParams({ a: 'b' }), 'a=b'],
    ['no body', () => null, ''],
    ['900 KiB', () => 'x'.repeat(900 * 1024), 'x'.repeat(900 * 1024)],
  ]
  test.each(bodies)(`a Request of ${name} is sent again whole: %s`, async (_, make, expected) => {
    await using origin = await busy(2)
    await using client = retrying()
    const body = make() as NonNullable<RequestInit['body']> | null
    const request = new OneRequest(origin.url, { method: 'PUT', body, headers: { 'x-mine': 'y' } })
    expect((await client.fetch(request)).status).toBe(200)
    expect(origin.received.map((each) => each.body)).toEqual([expected, expected, expected])
    const [first, ...others] = origin.received.map(({ headers }) => headers)
    for (const headers of others) expect(headers).toEqual(first)
    expect(first).toMatchObject({ 'x-mine': 'y', 'content-length': String(expected.length) })
    expect(request.bodyUsed).toBe(body !== null)
  })

  test(`a clone of a Request of ${name} is sent again, and the other one still can be`, async () => {
    await using origin = await busy(1)
    await using client = retrying()
    const request = new OneRequest(origin.url, { method: 'PUT', body: 'content' })
    expect((await client.fetch(request.clone())).status).toBe(200)
    expect((await client.fetch(request)).status).toBe(200)
    expect(origin.received.map(({ body }) => body)).toEqual(['content', 'content', 'content'])
  })

  test(`a Request of ${name} that has been read is refused, not sent without a body`, async () => {
    await using origin = await busy(0)
    await using client = retrying()
    const request = new OneRequest(origin.url, { method: 'PUT', body: 'content' })
    await request.text()
    await expect(client.fetch(request)).rejects.toBeInstanceOf(TypeError)
    expect(origin.received).toEqual([])
  })

  test(`a Request of ${name} is sent once by a fetch: the next one refuses it`, async () => {
    await using origin = await busy(0)
    await using client = retrying()
    const request = new OneRequest(origin.url, { method: 'PUT', body: 'content' })
    await (await client.fetch(request)).text()
    await expect(client.fetch(request)).rejects.toBeInstanceOf(TypeError)
    expect(origin.received).toHaveLength(1)
  })

  test(`a Request of ${name} made of a form is sent again with its boundary`, async () => {
    await using origin = await busy(1)
    await using client = retrying()
    const body = new OneFormData()
    body.set('name', 'value')
    body.set('file', new Blob(['of a file']), 'file.txt')
    const request = new OneRequest(origin.url, { method: 'PUT', body })
    expect((await client.fetch(request)).status).toBe(200)
    const [first, second] = origin.received
    expect(second).toEqual(first)
    const boundary = /boundary=(\S+)/.exec(first?.headers['content-type'] ?? '')?.[1] as string
    expect(first?.body).toContain(boundary)
  })

  test(`a Request of ${name} with an init on top: the init wins, again and again`, async () => {
    await using origin = await busy(1)
    await using client = retrying()
    const request = new OneRequest(origin.url, {
      method: 'PUT',
      body: 'content',
      headers: { 'x-mine': 'y' },
    })
    const init = { body: 'another', headers: { 'x-other': 'z' } }
    expect((await client.fetch(request, init)).status).toBe(200)
    expect(origin.received.map(({ body }) => body)).toEqual(['another', 'another'])
    for (const { headers, method } of origin.received) {
      expect(method).toBe('PUT')
      expect(headers['x-other']).toBe('z')
      expect(headers['x-mine']).toBeUndefined()
    }
  })

  test(`a Request of ${name} whose body is a slow stream is sent once, and a response is handed out`, async () => {
    await using origin = await busy(1)
    await using client = retrying()
    const stream = new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        controller.enqueue(Buffer.from('content'))
        controller.close()
      },
    })
    const request = new OneRequest(origin.url, { method: 'PUT', body: stream, duplex: 'half' })
    expect((await client.fetch(request)).status).toBe(503)
    expect(origin.received.map(({ body }) => body)).toEqual(['content'])
    expect(client.stats().retries.gaveUp.body).toBe(1)
  })
}

const changed: [string, () => { body: NonNullable<RequestInit['body']>; change: () => void }, string][] = [
  [
    'bytes',
    () => {
      const body = Buffer.from('xcontentx').subarray(1, 8)
      return { body, change: () => void body.fill('y') }
    },
    'content',
  ],
  [
    'an ArrayBuffer',
    () => {
      const body = new TextEncoder().encode('content')
      return { body: body.buffer, change: () => void body.fill(1) }
    },
    'content',
  ],
  [
    'URLSearchParams',
    () => {
      const body = new URLSearchParams({ a: 'b' })
      return { body, change: () => body.set('a', 'c') }
    },
    'a=b',
  ],
]

test.each(changed)(
  '%s changed after the call are sent as they were, by every attempt',
  async (_, make, expected) => {
    await using origin = await busy(1)
    await using client = retrying()
    const { body, change } = make()
    const call = client.fetch(origin.url, { method: 'PUT', body, retry: slowly })
    change()
    expect((await call).status).toBe(200)
    expect(origin.received.map((each) => each.body)).toEqual([expected, expected])
  },
)

test.each([
  ['Node', FormData],
  ['undici', UndiciFormData as unknown as typeof FormData],
])('a form of %s changed after the call is sent as it was, files and all', async (_, OneFormData) => {
  await using origin = await busy(1)
  await using client = retrying()
  const body = new OneFormData()
  body.append('a', 'b')
  body.append('a', 'c')
  body.append('file', new Blob(['of a file'], { type: 'text/x-mine' }), 'name.txt')
  const call = client.fetch(origin.url, { method: 'PUT', body, retry: slowly })
  body.set('a', 'changed')
  expect((await call).status).toBe(200)
  expect(origin.received).toHaveLength(2)
  for (const { body: sent } of origin.received) {
    expect(sent).toMatch(/name="a"\r\n\r\nb\r\n[^]*name="a"\r\n\r\nc\r\n/)
    expect(sent).toMatch(/filename="name.txt"\r\nContent-Type: text\/x-mine\r\n\r\nof a file\r\n/i)
    expect(sent).not.toContain('changed')
  }
})

test('a URL changed after the call is asked for as it was, by every attempt', async () => {
  await using origin = await busy(1)
  await using client = retrying()
  const url = new URL(origin.url)
  const call = client.fetch(url, { retry: slowly })
  url.port = '1'
  expect((await call).status).toBe(200)
})

test('headers and init that are changed after the call are sent as they were, by every attempt', async () => {
  await using origin = await busy(1)
  await using client = retrying()
  const headers = new Headers({ authorization: 'first' })
  const init: FetchInit = { method: 'PUT', body: 'content', headers, retry: slowly }
  const call = client.fetch(origin.url, init)
  headers.set('authorization', 'second')
  init.body = 'other'
  init.method = 'DELETE'
  expect((await call).status).toBe(200)
  expect(
    origin.received.map(({ method, headers: { authorization }, body }) => [method, authorization, body]),
  ).toEqual([
    ['PUT', 'first', 'content'],
    ['PUT', 'first', 'content'],
  ])
})

test('a body that is an iterator, or an object of no known kind, is sent once', async () => {
  await using origin = await busy(1)
  await using client = retrying()
  const iterator = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('content')
  }
  const init = { method: 'PUT', body: iterator() as never, duplex: 'half' as const }
  expect((await client.fetch(origin.url, init)).status).toBe(503)
  expect(origin.received.map(({ body }) => body)).toEqual(['content'])
})

test('streams that a function made and that no request took are destroyed', async () => {
  const { url } = await refused()
  await using client = retrying()
  const made: Readable[] = []
  const body = (): never => {
    made.push(Readable.from([Buffer.alloc(10)]))
    return made.at(-1) as never
  }
  await expect(client.fetch(url, { method: 'PUT', body })).rejects.toMatchObject({
    cause: { code: 'ECONNREFUSED' },
    attempts: 3,
  })
  const signal = AbortSignal.abort()
  await expect(client.fetch(url, { method: 'PUT', body, signal })).rejects.toMatchObject({
    name: 'AbortError',
  })
  await until(() => made.every((stream) => stream.destroyed), 'all are destroyed')
})

test('a body that is made too late is destroyed', async () => {
  await using client = retrying()
  const late = Readable.from([Buffer.alloc(10)])
  const { promise, resolve } = Promise.withResolvers<never>()
  const call = client.fetch('http://127.0.0.1:1/', { method: 'PUT', body: () => promise, timeout: 50 })
  await expect(call).rejects.toMatchObject({ phase: 'total' })
  resolve(late as never)
  await until(() => late.destroyed, 'it is destroyed')
})

test('what a function made is destroyed when the answer comes before it is sent', async () => {
  const server = http.createServer((_, response) => response.writeHead(503).end('early'))
  await using listening = await listen(server)
  const made: Readable[] = []
  {
    await using client = retrying()
    const body = (): never => {
      const stream = new Readable({ read() {} })
      stream.push('begun')
      made.push(stream)
      return stream as never
    }
    const response = await client.fetch(listening.url, { method: 'PUT', body })
    expect(response.status).toBe(503)
    await response.body?.cancel()
    expect(made).toHaveLength(3)
    await until(
      () => made.slice(0, 2).every((stream) => stream.destroyed),
      'those of the first two are destroyed',
    )
  }
  await until(() => made.every((stream) => stream.destroyed), 'all are destroyed')
})

test('a stream whose call has failed is refused, whatever the failure, and named as the reason', async () => {
  const { url } = await refused()
  await using client = retrying()
  const stream = new Blob(['content']).stream()
  const error = await client
    .fetch(url, { method: 'PUT', body: stream, duplex: 'half' })
    .catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(BodyNotReplayableError)
  expect(error).toMatchObject({ cause: { code: 'ECONNREFUSED' } })
})

for (const [name, { OneRequest }] of Object.entries(classes)) {
  test(`a Request of ${name} as init: each attempt has its method, its headers and the signal`, async () => {
    await using origin = await busy(2)
    await using client = retrying()
    const init = new OneRequest(origin.url, { method: 'DELETE', headers: { 'x-mine': 'y' } })
    expect((await client.fetch(origin.url, init)).status).toBe(200)
    expect(origin.received.map(({ method, headers }) => [method, headers['x-mine']])).toEqual([
      ['DELETE', 'y'],
      ['DELETE', 'y'],
      ['DELETE', 'y'],
    ])
  })

  test(`a body of null over a Request of ${name} leaves it its own, again and again`, async () => {
    await using origin = await busy(1)
    await using client = retrying()
    const request = new OneRequest(origin.url, { method: 'PUT', body: 'content' })
    expect((await client.fetch(request, { body: null })).status).toBe(200)
    expect(origin.received.map(({ body }) => body)).toEqual(['content', 'content'])
  })

  test(`a Request of ${name} as init: its body is a stream, sent once and whole`, async () => {
    await using origin = await busy(1)
    await using client = retrying()
    const init = new OneRequest(origin.url, { method: 'PUT', body: 'content' })
    expect((await client.fetch(origin.url, init)).status).toBe(503)
    expect(origin.received.map(({ method, body }) => [method, body])).toEqual([['PUT', 'content']])
  })
}

test('an init that inherits its members is sent with all of them, ours included', async () => {
  await using origin = await busy(2)
  await using client = testClient()
  const made = Object.create({
    method: 'PUT',
    body: () => 'content',
    retry: { backoff: { initial: 1, max: 2 } },
    timeout: 5_000,
  }) as FetchInit
  expect((await client.fetch(origin.url, made)).status).toBe(200)
  expect(origin.received.map(({ method, body }) => [method, body])).toEqual([
    ['PUT', 'content'],
    ['PUT', 'content'],
    ['PUT', 'content'],
  ])
  const once = Object.create({ method: 'PUT', body: () => 'content' }) as FetchInit
  expect((await client.fetch(origin.url, once)).status).toBe(200)
  expect(origin.received.at(-1)).toMatchObject({ method: 'PUT', body: 'content' })
})
