/** Other people's fetch under wrap: the same contract above its Response, seen from the server. */
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import nodeFetch from 'node-fetch'
import { expect, test, vi } from 'vitest'
import * as undici from 'undici'
import {
  BodyReclaimedError,
  createClient,
  type ClientOptions,
  discard,
  type FetchLike,
  TimeoutError,
  wrap,
} from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { listen } from '../support/listen.ts'
import { createOrigin, type Origin } from '../support/origin.ts'
import { pattern, serveShapes, shapes } from '../support/shapes.ts'
import { turns } from '../support/timers.ts'
import { until, untilCollected } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

/** Fetches of others, each with connections of its own. */
const foreign: Record<string, () => { fetch: FetchLike } & AsyncDisposable> = {
  "Node's fetch, late-bound": () => ({
    fetch: (...args) => globalThis.fetch(...args),
    async [Symbol.asyncDispose]() {},
  }),
  'undici.fetch on a pool of 2': () => {
    const dispatcher = new undici.Agent({ connections: 2 })
    return {
      fetch: (input: undici.RequestInfo, init?: undici.RequestInit) =>
        undici.fetch(input, { ...init, dispatcher }),
      [Symbol.asyncDispose]: () => dispatcher.destroy(),
    }
  },
  'node-fetch': () => ({ fetch: nodeFetch, async [Symbol.asyncDispose]() {} }),
}

const shapesOf = (): Promise<Origin> => createOrigin(serveShapes)
const at = (origin: Origin, shape: string): string => `${origin.url}/${encodeURIComponent(shape)}`

for (const [name, create] of Object.entries(foreign)) {
  const client = (options: ClientOptions = {}) => {
    const other = create()
    // `connections: undefined`: they are not ours here.
    const self = testClient({ fetch: other.fetch, connections: undefined as never, ...options })
    return {
      ...self,
      async [Symbol.asyncDispose]() {
        await self[Symbol.asyncDispose]()
        await other[Symbol.asyncDispose]()
      },
    }
  }

  test(`${name}: answers that nobody reads cost a few connections, not one each`, async () => {
    await using origin = await shapesOf()
    await using self = client()
    const kept: Response[] = []
    for (const shape of ['empty chunked', 'one byte', '1 MiB', '404 with 256 KiB', 'chunked', 'gzip']) {
      for (let i = 0; i < 10; i++) kept.push(await self.fetch(at(origin, shape)))
    }
    await until(() => self.stats().requests.inFlight === 0, 'all received')
    // A call made while the last answer is still arriving opens one more, where the other fetch has no limit.
    expect(origin.accepted).toBeLessThanOrEqual(20)
    expect(kept.map(({ status }) => status).filter((status) => status === 404)).toHaveLength(10)
    for (const response of kept) await discard(response)
  })

  test(`${name}: every body has the same bytes, read late or at once, whole or as a stream`, async () => {
    await using origin = await shapesOf()
    await using self = client()
    for (const [shape, { gets, isLarge, method }] of Object.entries(shapes)) {
      if (typeof gets === 'string' || isLarge || shape === 'longer than declared') continue
      const init = method === undefined ? undefined : { method }
      expect(Buffer.from(await (await self.fetch(at(origin, shape), init)).arrayBuffer()), shape).toEqual(
        gets,
      )
      const late = await self.fetch(at(origin, shape), init)
      await new Promise((resolve) => setImmediate(resolve))
      const clone = late.clone()
      const parts: Uint8Array[] = []
      for await (const part of late.body ?? []) parts.push(part)
      expect(Buffer.concat(parts), shape).toEqual(gets)
      expect((await clone.bytes()).length, shape).toBe(gets.length)
    }
  })

  test(`${name}: cancelled bodies are drained or closed, and the caller does not wait`, async () => {
    await using origin = await shapesOf()
    await using self = client({ drain: { readAhead: 0, maxTime: 5_000 } })
    for (let i = 0; i < 10; i++) {
      // No more than is on its way anyway: it is drained however slow the machine seems.
      await (await self.fetch(at(origin, 'at readAhead'))).body?.cancel()
      await until(() => self.stats().bodies.drained === i + 1, 'drained')
      // The other fetch frees its connection a little after its body has ended.
      await turns()
    }
    // Few: the other fetch may be slow to take its connection back.
    expect(origin.accepted).toBeLessThanOrEqual(5)
    await (await self.fetch(at(origin, '64 MiB'))).body?.cancel()
    await until(() => self.stats().bodies.closed === 1, 'the large one closed')
    expect(self.stats().bodies.reasons).toMatchObject({ bytes: 1 })
    await (await self.fetch(at(origin, 'endless and fast'))).body?.cancel()
    await until(() => self.stats().bodies.closed === 2, 'the endless one closed')
  })

  test(`${name}: forgotten bodies are found by the garbage collector`, async () => {
    await using origin = await shapesOf()
    await using self = client()
    const forget = async (): Promise<void> => void (await self.fetch(at(origin, '64 MiB')))
    await forget()
    await forget()
    await untilCollected(() => self.stats().bodies.closed === 2, 'both given up')
  })

  test(`${name}: url, redirected, status, type and headers are those of the other Response`, async () => {
    await using origin = await shapesOf()
    await using self = client()
    const response = await self.fetch(`${origin.url}/moved`)
    expect(response).toBeInstanceOf(Response)
    expect(response.redirected).toBe(true)
    expect(response.url).toBe(`${origin.url}/ok`)
    expect(response.ok).toBe(true)
    expect(response.headers.get('content-length')).toBe('2')
    expect(await response.text()).toBe('ok')
    const manual = await self.fetch(`${origin.url}/moved`, { redirect: 'manual' })
    expect(manual.status).toBe(302)
    await discard(manual)
  })

  test(`${name}: an abort before the answer ends the call and its connection`, async () => {
    await using origin = await createOrigin(() => {})
    await using self = client()
    const reason = new Error('enough')
    const controller = new AbortController()
    const call = self.fetch(`${origin.url}/never`, { signal: controller.signal })
    await until(() => origin.seen.length === 1, 'asked')
    controller.abort(reason)
    await expect(call).rejects.toBe(reason)
    await until(() => origin.open === 0, 'its connection is gone')
    await expect(self.fetch(origin.url, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(origin.seen).toHaveLength(1)
  })

  test(`${name}: an abort after the answer ends the body, and the connection lives on`, async () => {
    await using origin = await shapesOf()
    await using self = client()
    const reason = new Error('enough')
    const controller = new AbortController()
    const response = await self.fetch(at(origin, '1 MiB'), { signal: controller.signal })
    controller.abort(reason)
    await expect(response.text()).rejects.toBe(reason)
    await until(() => self.stats().bodies.drained === 1, 'drained')
    await origin.stopListening()
    // Refused until the other fetch has its connection back, and for ever if it is gone.
    let text: string | undefined
    const again = async (): Promise<string> => (await self.fetch(`${origin.url}/ok`)).text()
    const deadline = performance.now() + 8_000
    while (text === undefined && performance.now() < deadline) text = await again().catch(() => undefined)
    expect(text).toBe('ok')
  })

  test(`${name}: time limits end the call or its body`, async () => {
    await using origin = await createOrigin(async (seen, reply) => {
      if (seen.path !== '/never') await serveShapes(seen, reply)
    })
    await using self = client({ timeout: { headers: 100 }, drain: { maxTime: 50 } })
    const late = await self.fetch(`${origin.url}/never`).catch((error: unknown) => error)
    expect(late).toBeInstanceOf(TimeoutError)
    expect(late).toMatchObject({ phase: 'headers', limit: 100, url: `${origin.url}/never` })
    const slow = await self.fetch(at(origin, 'stalled in the body'), {
      timeout: { headers: 8_000, body: 50 },
    })
    await expect(slow.text()).rejects.toMatchObject({ phase: 'body' })
    const total = self.fetch(`${origin.url}/never`, { timeout: { total: 60, headers: 8_000 } })
    await expect(total).rejects.toMatchObject({ name: 'TimeoutError', phase: 'total', limit: 60 })
  })

  test(`${name}: what was never touched is taken back while a call waits for its answer`, async () => {
    await using origin = await createOrigin(async (seen, reply) => {
      if (seen.path !== '/never') await serveShapes(seen, reply)
    })
    await using self = client({ drain: { stall: 50 } })
    const held = await self.fetch(at(origin, '64 MiB'))
    const controller = new AbortController()
    const waiting = self.fetch(`${origin.url}/never`, { signal: controller.signal }).catch(() => {})
    await until(() => self.stats().bodies.closed === 1, 'taken back')
    const { cause } = (await held.text().catch((error: unknown) => error)) as Error
    expect(cause).toBeInstanceOf(BodyReclaimedError)
    controller.abort()
    await waiting
  })

  test(`${name}: maxResponseSize, origin and default headers apply`, async () => {
    await using origin = await shapesOf()
    await using self = client({
      origin: origin.url,
      headers: { 'x-a': '1', 'x-b': '2' },
      maxResponseSize: 1000,
    })
    const response = await self.fetch('/ok', { headers: { 'X-B': '3' } })
    expect(await response.text()).toBe('ok')
    expect(origin.seen[0]?.headers).toMatch(/^x-a: 1$/m)
    expect(origin.seen[0]?.headers).toMatch(/^x-b: 3$/m)
    await expect((await self.fetch('/1 MiB')).text()).rejects.toMatchObject({ name: 'ResponseTooLargeError' })
  })

  test(`${name}: requests with bodies are sent, a Request too`, async () => {
    const server = createServer((request, response) => {
      let text = `${request.method} ${String(request.headers['x-a'])} `
      request.on('data', (part) => (text += String(part))).on('end', () => response.end(text))
    })
    await using listening = await listen(server)
    const url = `${listening.url}/`
    await using self = client({ headers: { 'x-a': '1' } })
    expect(await (await self.fetch(url, { method: 'POST', body: 'text' })).text()).toBe('POST 1 text')
    if (name !== 'node-fetch' && !name.startsWith('undici')) {
      const request = new Request(url, { method: 'PUT', body: 'hello' })
      expect(await (await self.fetch(request)).text()).toBe('PUT 1 hello')
      const init = new Request(url, { method: 'PUT', body: 'again', headers: { 'x-a': '2' } })
      expect(await (await self.fetch(url, init as RequestInit)).text()).toBe('PUT 2 again')
    }
  })
}

test('a failed call fails with the error of the other fetch, unchanged', async () => {
  const error = new Error('theirs')
  const self = wrap(() => Promise.reject(error))
  await expect(self('http://localhost/')).rejects.toBe(error)
  const throwing = wrap(() => {
    throw error
  })
  await expect(throwing('http://localhost/')).rejects.toBe(error)
})

test('the other fetch is called with what the caller gave, and nothing else', async () => {
  const mock = vi.fn((input: string, init?: object) =>
    Promise.resolve(new Response(init === undefined ? 'x' : input)),
  )
  const self = wrap(mock)
  expect(await (await self('/relative')).text()).toBe('x')
  const init = { method: 'POST', body: 'b', agent: 'of theirs' }
  await (await self('http://localhost/a', init)).text()
  expect(mock.mock.calls).toEqual([['/relative'], ['http://localhost/a', init]])
  expect(mock.mock.calls[1]?.[1]).toBe(init)
})

test('an init of null is none, whatever the client adds to its calls', async () => {
  const mock = vi.fn((_: string, init?: object | null) =>
    Promise.resolve(new Response(init == null ? 'none' : Object.keys(init).join(' '))),
  )
  for (const [options, given] of [
    [{}, 'none'],
    [{ headers: { 'x-a': '1' } }, 'headers'],
    [{ timeout: { total: 9_000 } }, 'signal'],
    [{ headers: { 'x-a': '1' }, timeout: { total: 9_000 } }, 'headers signal'],
  ] as const) {
    const self = wrap(mock, options)
    expect(await (await self('http://localhost/', null as never)).text()).toBe(given)
  }
})

test('a signal of null is none, also over that of a Request', async () => {
  const mock = vi.fn((input: Request, init?: RequestInit) =>
    Promise.resolve(new Response(`${init?.signal === null ? 'none' : 'some'} ${input.method}`)),
  )
  const request = new Request('http://localhost/', { signal: AbortSignal.abort() })
  expect(await (await wrap(mock)(request, { signal: null })).text()).toBe('none GET')
  await expect(wrap(mock)(request)).rejects.toMatchObject({ name: 'AbortError' })
  expect(mock).toHaveBeenCalledOnce()
})

test('headers come as the other fetch has them: cookies apart, names in whatever case', async () => {
  const of = async (headers: object): Promise<Headers> =>
    (await wrap(async () => ({ status: 200, headers, body: null }))('http://localhost/')).headers
  const cookies = new Headers([
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ])
  expect((await of(cookies)).getSetCookie()).toEqual(['a=1', 'b=2'])
  const raw = { 'Set-Cookie': ['a=1', 'b=2'], 'X-A': ['1'] }
  const old = await of({ raw: () => raw, [Symbol.iterator]: () => [][Symbol.iterator]() })
  expect(old.getSetCookie()).toEqual(['a=1', 'b=2'])
  expect(old.get('x-a')).toBe('1')
})

test("an answer that comes too late and cannot be read is nobody's error", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>()
  const controller = new AbortController()
  const call = wrap(() => promise)('http://localhost/', { signal: controller.signal })
  controller.abort()
  await expect(call).rejects.toMatchObject({ name: 'AbortError' })
  const used = new Response('x')
  used.body?.getReader()
  resolve(used)
})

test('half a Response of a simple mock is handed on as it is', async () => {
  const half = { ok: true, json: async () => ({ a: 1 }) }
  const client = createClient({ fetch: async () => half })
  expect(await client.fetch('http://localhost/')).toBe(half)
  await until(() => client.stats().requests.waiting === 0, 'nothing waits')
  expect(client.stats()).toMatchObject({ requests: { inFlight: 0 }, bodies: { open: 0, read: 0 } })
})

test('a Response that a mock hands out twice fails to be read the second time, as it does without wrap', async () => {
  const response = new Response('x')
  const self = wrap(async () => response)
  expect(await (await self('http://localhost/')).text()).toBe('x')
  await expect(self('http://localhost/').then((again) => again.text())).rejects.toBeInstanceOf(TypeError)
})

test('bodies of any kind of stream are taken: of text, of iterators, none', async () => {
  const of = (body: unknown, status = 200) =>
    wrap(async () => ({ status, headers: new Headers({ 'content-length': '4' }), body }))('http://localhost/')
  const text = new ReadableStream({
    start(controller) {
      controller.enqueue('ab')
      controller.enqueue('cd')
      controller.close()
    },
  })
  expect(await (await of(text)).text()).toBe('abcd')
  expect(await (await of(Readable.from([Buffer.from('ab'), 'cd']))).text()).toBe('abcd')
  async function* parts(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('ab')
    yield Buffer.from('cd')
  }
  expect(await (await of(parts())).text()).toBe('abcd')
  const none = await of(null, 204)
  expect(none.body).toBe(null)
  expect(await none.text()).toBe('')
  await expect((await of(Readable.from([{ a: 1 }]))).text()).rejects.toThrow(/neither bytes nor text/)
  await expect(of('text')).rejects.toThrow(/fetch failed/)
})

test('a body that fails, fails its reader, also one who comes later', async () => {
  const broken = (): ReadableStream =>
    new ReadableStream({ pull: (controller) => controller.error(new Error('gone')) })
  const self = wrap(async () => new Response(broken()))
  const response = await self('http://localhost/')
  await new Promise((resolve) => setTimeout(resolve, 5))
  await expect(response.text()).rejects.toMatchObject({ cause: { message: 'gone' } })
  const node = wrap(async () => ({
    status: 200,
    headers: new Headers(),
    body: new Readable({
      read() {
        this.destroy(new Error('gone'))
      },
    }),
  }))
  await expect((await node('http://localhost/')).text()).rejects.toMatchObject({ cause: { message: 'gone' } })
})

test('an opaque redirect and an error of another runtime keep their status 0', async () => {
  const self = wrap(async () => Response.error())
  const response = await self('http://localhost/')
  expect(response).toMatchObject({ status: 0, type: 'error', ok: false, body: null })
})

test('destroy fails calls without an answer and bodies that are read; a late answer is cancelled', async () => {
  const answers: ((response: Response) => void)[] = []
  const client = createClient({ fetch: () => new Promise<Response>((resolve) => answers.push(resolve)) })
  const call = client.fetch('http://localhost/')
  await client.destroy()
  await expect(call).rejects.toMatchObject({ name: 'TypeError', message: 'fetch failed' })
  const cancel = vi.fn()
  answers[0]?.(new Response(new ReadableStream({ cancel })))
  await until(() => cancel.mock.calls.length === 1, 'cancelled')
  await expect(client.fetch('http://localhost/')).rejects.toThrow('fetch failed')
})

test('close waits for the calls under way and takes no new ones', async () => {
  const { promise, resolve } = Promise.withResolvers<Response>()
  const client = createClient({ fetch: () => promise })
  const call = client.fetch('http://localhost/')
  const closed = client.close()
  resolve(new Response(pattern(10)))
  expect((await (await call).bytes()).length).toBe(10)
  await closed
  await expect(client.fetch('http://localhost/')).rejects.toThrow('fetch failed')
})

test('its dispatcher says that there is none', async () => {
  const client = createClient({ fetch: globalThis.fetch })
  await expect(undici.request('http://localhost/', { dispatcher: client.dispatcher })).rejects.toThrow(
    /fetch of somebody else has no dispatcher/,
  )
})

test.each([
  [{ connections: 1 }, /connections cannot be combined with fetch/],
  [{ tls: {} }, /tls cannot be combined with fetch/],
  [{ dispatcher: new undici.Agent() }, /dispatcher cannot be combined with fetch/],
  [{ timeout: { connect: 1 } }, /timeout.connect cannot be combined with fetch/],
  [{ timeout: { queue: 1 } }, /timeout.queue cannot be combined with fetch/],
])('%o is refused together with fetch', (options, message) => {
  expect(() => createClient({ fetch: globalThis.fetch, ...options })).toThrow(message)
})

test('a call cannot limit what cannot be seen, and fetch must be a function', async () => {
  const self = wrap(async () => new Response())
  await expect(self('http://localhost/', { timeout: { queue: 1 } })).rejects.toThrow(/init.timeout.queue/)
  expect(() => wrap('x' as never)).toThrow(/fetch must be a function/)
})
