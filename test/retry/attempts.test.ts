/** Attempts on real sockets: how many, over which connections, what is handed out, and what is left behind. */
import diagnostics from 'node:diagnostics_channel'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import {
  BodyNotReplayableError,
  type Client,
  type ClientOptions,
  RetriedResponseError,
  type RetryEvent,
  type RetryNotice,
  TimeoutError,
} from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin, type Origin, type Reply, type Seen } from '../support/origin.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const KiB = 1024
const soon = { initial: 1, max: 5 }
type Answer = (reply: Reply, seen: Seen) => unknown

const status =
  (code: number, size = 0, headers = ''): Answer =>
  (reply) =>
    reply.write(`HTTP/1.1 ${code} Status\r\ncontent-length: ${size}\r\n${headers}\r\n${'x'.repeat(size)}`)
const ok = status(200, 2)
const reset: Answer = (reply) => reply.reset()
const silence: Answer = () => new Promise(() => {})

/** An origin that gives one answer after another, the last one for ever. */
const scripted = (...answers: Answer[]): Promise<Origin> => {
  let at = 0
  return createOrigin(async (seen, reply) => {
    const answer = answers[Math.min(at++, answers.length - 1)] as Answer
    await answer(reply, seen)
  })
}

const retrying = (options: ClientOptions = {}): Client & AsyncDisposable =>
  testClient({ retry: { backoff: soon }, ...options })

const failure = (promise: Promise<unknown>): Promise<Record<string, unknown>> =>
  promise.then(
    () => Promise.reject(new Error('It succeeded')),
    (error: unknown) => error as Record<string, unknown>,
  )

test('three attempts of a call with error bodies use one connection', async () => {
  // No more than is on its way anyway: it is drained however slow the machine seems.
  await using origin = await scripted(status(503, 64 * KiB), status(503, 64 * KiB), ok)
  await using client = retrying({ drain: { readAhead: 0 } })
  const response = await client.fetch(origin.url)
  expect(await response.text()).toBe('xx')
  expect(origin.seen.map(({ connection }) => connection)).toEqual([0, 0, 0])
  expect(client.stats().retries.made).toBe(2)
})

test('without retry, the first response is handed out, and so it is with retry: false on a client that has it', async () => {
  await using origin = await scripted(status(503, 3))
  await using plain = testClient()
  await using client = retrying()
  expect((await plain.fetch(origin.url)).status).toBe(503)
  expect((await client.fetch(origin.url, { retry: false })).status).toBe(503)
  expect(origin.seen).toHaveLength(2)
})

test.each([
  [true, 3],
  [1, 1],
  [2, 2],
  [5, 5],
  [{ maxAttempts: 4, backoff: soon }, 4],
] as const)(
  'retry: %o makes %i attempts, the first included, and hands the last response out whole',
  async (retry, most) => {
    await using origin = await scripted(status(503, 70 * KiB))
    await using client = testClient()
    const response = await client.fetch(origin.url, { retry })
    expect(response.status).toBe(503)
    expect((await response.arrayBuffer()).byteLength).toBe(70 * KiB)
    expect(origin.seen).toHaveLength(most)
    expect(client.stats().retries.gaveUp.attempts).toBe(1)
  },
)

test('a number for a call is the number of attempts of the policy of its client', async () => {
  await using origin = await scripted(status(418))
  await using client = testClient({ retry: { statuses: [418], backoff: soon } })
  await client.fetch(origin.url, { retry: 5 })
  expect(origin.seen).toHaveLength(5)
})

test('options for a call are laid over those of its client', async () => {
  await using origin = await scripted(status(418))
  await using client = testClient({ retry: { statuses: [418], backoff: soon } })
  await client.fetch(origin.url, { retry: { maxAttempts: 2 } })
  expect(origin.seen).toHaveLength(2)
})

test('an option that is undefined for a call is that of its client', async () => {
  await using origin = await scripted(status(418))
  await using client = testClient({ retry: { statuses: [418], maxAttempts: 2, backoff: soon } })
  const retry = { statuses: undefined, maxAttempts: undefined, backoff: undefined } as never
  await client.fetch(origin.url, { retry })
  expect(origin.seen).toHaveLength(2)
})

test.each([400, 401, 403, 404, 409, 410, 412, 416, 501, 505])('a %i is not retried', async (code) => {
  await using origin = await scripted(status(code))
  await using client = retrying()
  expect((await client.fetch(origin.url)).status).toBe(code)
  expect(origin.seen).toHaveLength(1)
})

test.each([408, 425, 429, 500, 502, 503, 504])('a %i is retried', async (code) => {
  await using origin = await scripted(status(code), ok)
  await using client = retrying()
  expect((await client.fetch(origin.url)).status).toBe(200)
})

test.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])('%s is retried', async (method) => {
  await using origin = await scripted(status(503), status(200))
  await using client = retrying()
  expect((await client.fetch(origin.url, { method })).status).toBe(200)
})

test.each(['POST', 'PATCH'])('%s is not retried unless asked for', async (method) => {
  await using origin = await scripted(status(503), status(503), ok)
  await using client = retrying()
  expect((await client.fetch(origin.url, { method })).status).toBe(503)
  const init = { method, retry: { methods: ['POST', 'PATCH'] } }
  expect((await client.fetch(origin.url, init)).status).toBe(200)
})

test('shouldRetry decides instead, and may take its time to look at a clone', async () => {
  await using origin = await scripted(
    (reply) => reply.write('HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\npending'),
    ok,
  )
  await using client = testClient({
    retry: {
      backoff: soon,
      async shouldRetry({ response }, usual) {
        expect(usual).toBe(false)
        return (await (response as Response).clone().text()) === 'pending'
      },
    },
  })
  expect(await (await client.fetch(origin.url)).text()).toBe('xx')
  expect(origin.accepted).toBe(1)
})

test('what shouldRetry or onRetry throws ends the call with it', async () => {
  await using origin = await scripted(status(503, 100 * KiB))
  const thrown = new Error('mine')
  const fails = (): never => {
    throw thrown
  }
  await using client = testClient()
  expect(await failure(client.fetch(origin.url, { retry: { shouldRetry: fails } }))).toBe(thrown)
  expect(await failure(client.fetch(origin.url, { retry: { onRetry: fails } }))).toBe(thrown)
})

test('what shouldRetry or onRetry throws at a later attempt ends the call with it, and nothing more is sent', async () => {
  await using origin = await scripted(status(503, 100 * KiB))
  await using client = testClient()
  const thrown = new Error('mine')
  const failsAtSecond = ({ attempt }: { readonly attempt: number }): boolean => {
    if (attempt === 2) throw thrown
    return true
  }
  const laterFails = async (outcome: { readonly attempt: number }): Promise<boolean> => failsAtSecond(outcome)
  const options = { maxAttempts: 4, backoff: soon }
  for (const own of [
    { shouldRetry: failsAtSecond },
    { shouldRetry: laterFails },
    { onRetry: (retry: RetryNotice) => void failsAtSecond(retry) },
  ]) {
    const before = client.stats().retries.made
    expect(await failure(client.fetch(origin.url, { retry: { ...options, ...own } }))).toBe(thrown)
    expect(origin.seen.splice(0)).toHaveLength(2)
    expect(client.stats().retries.made - before).toBe('onRetry' in own ? 2 : 1)
  }
})

test('a reason that is no Error, aborted with while a policy decides about a later attempt, is handed on', async () => {
  await using origin = await scripted(status(503))
  await using client = testClient()
  const abort = new AbortController()
  const shouldRetry = ({ attempt }: { readonly attempt: number }): boolean | Promise<boolean> => {
    if (attempt === 1) return true
    abort.abort('mine')
    return new Promise(() => {})
  }
  const call = client.fetch(origin.url, {
    signal: abort.signal,
    retry: { maxAttempts: 4, backoff: soon, shouldRetry },
  })
  expect(await failure(call)).toBe('mine')
  expect(origin.seen).toHaveLength(2)
})

test('onRetry hears of each attempt that follows, and of the wait', async () => {
  // On a connection of its own: one that was kept, and is dead, is no failure of the attempt.
  await using origin = await scripted(status(503, 0, 'connection: close\r\n'), reset, ok)
  const notices: RetryNotice[] = []
  await using client = retrying({ retry: { backoff: soon, onRetry: (notice) => void notices.push(notice) } })
  await client.fetch(origin.url)
  expect(notices.map(({ attempt, code, response }) => [attempt, code, response?.status])).toEqual([
    [1, undefined, 503],
    [2, expect.stringMatching(/^(UND_ERR_SOCKET|ECONNRESET)$/), undefined],
  ])
  expect(notices.every(({ wait }) => wait >= 0 && wait <= 5)).toBe(true)
})

test('when attempts run out, the last error has those before it, its shape is that of fetch', async () => {
  await using origin = await scripted(status(503, 10), reset)
  await using client = retrying()
  const error = await failure(client.fetch(`${origin.url}/?sig=hunter2`))
  expect(error).toBeInstanceOf(TypeError)
  expect(error).toMatchObject({ message: 'fetch failed', cause: { code: expect.any(String) }, attempts: 3 })
  expect(error['elapsed']).toBeGreaterThan(0)
  expect(error['errors']).toHaveLength(2)
  const [first, second] = error['errors'] as Error[]
  expect(first).toBeInstanceOf(RetriedResponseError)
  expect(first).toMatchObject({ status: 503, code: 'ERR_DRAINED_RETRIED_RESPONSE' })
  expect(first?.message).toBe(`${origin.url}/?sig=*** was answered with 503`)
  expect(second).toMatchObject({ message: 'fetch failed' })
})

test('an error that is not retried is as it would be without retries', async () => {
  await using client = retrying()
  const error = await failure(client.fetch('http://127.0.0.1:1/'))
  expect(error).toBeInstanceOf(TypeError)
  expect(Object.keys(error)).toEqual([])
  await expect(client.fetch('not a url')).rejects.toThrow('Failed to parse URL')
})

test('a server is given the time it asks for, by the header that says most exactly', async () => {
  await using origin = await scripted(status(429, 0, 'retry-after-ms: 120\r\nretry-after: 60\r\n'), ok)
  const notices: number[] = []
  await using client = retrying({ retry: { backoff: soon, onRetry: ({ wait }) => void notices.push(wait) } })
  const started = performance.now()
  expect((await client.fetch(origin.url)).status).toBe(200)
  expect(notices).toEqual([120])
  expect(performance.now() - started).toBeGreaterThanOrEqual(119)
})

test('a server that asks for more than maxRetryAfter, or than is left of the total, has its response handed out at once', async () => {
  await using origin = await scripted(status(503, 100, 'retry-after: 30\r\n'))
  await using client = retrying()
  const calls = [{ retry: { maxRetryAfter: 20_000 } }, { timeout: 10_000 }]
  for (const init of calls) {
    const response = await client.fetch(origin.url, init)
    expect(response.status).toBe(503)
    expect((await response.bytes()).length).toBe(100)
  }
  expect(origin.seen).toHaveLength(2)
  expect(client.stats().retries.gaveUp).toMatchObject({ 'retry-after': 1, total: 1 })
})

test('a server that asks for time is not heard where that is not wanted', async () => {
  await using origin = await scripted(status(503, 0, 'retry-after: 30\r\n'), ok)
  await using client = retrying()
  expect((await client.fetch(origin.url, { retry: { respectRetryAfter: false } })).status).toBe(200)
})

test('the total covers attempts and waits, and names the whole limit', async () => {
  await using origin = await scripted(status(503), silence)
  await using client = retrying({ retry: { backoff: { initial: 1_200, jitter: 'none' } } })
  const started = performance.now()
  const error = await failure(client.fetch(origin.url, { timeout: 1_500 }))
  const elapsed = performance.now() - started
  expect(error).toBeInstanceOf(TimeoutError)
  expect(error).toMatchObject({ phase: 'total', limit: 1_500, attempts: 2 })
  // From the call, not from the second attempt.
  expect(elapsed).toBeLessThan(1_500 + 1_100)
})

test('an attempt that gets no headers in time is followed by another', async () => {
  await using origin = await scripted(silence, ok)
  await using client = retrying({ connections: 2, timeout: { attempt: 1_000 } })
  expect((await client.fetch(origin.url)).status).toBe(200)
  expect(origin.seen).toHaveLength(2)
})

test('attempt ends with the headers: a body may take longer', async () => {
  const body: Answer = async (reply) => {
    await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nxx')
    await new Promise((resolve) => setTimeout(resolve, 700))
    await reply.write('yy')
  }
  await using origin = await scripted(body)
  await using client = testClient({ timeout: { attempt: 500 } })
  expect(await (await client.fetch(origin.url)).text()).toBe('xxyy')
})

test('a wait for the queue is not retried: the next one would only make it longer', async () => {
  await using origin = await scripted(silence)
  await using client = retrying()
  const abort = new AbortController()
  const first = failure(client.fetch(origin.url, { signal: abort.signal }))
  await until(() => origin.seen.length === 1, 'the first is sent')
  expect(await failure(client.fetch(origin.url, { timeout: { queue: 50 } }))).toMatchObject({
    phase: 'queue',
  })
  expect(client.stats().retries.made).toBe(0)
  abort.abort()
  await first
})

test.each([
  ['an error', new Error('mine')],
  ['no error at all', 'a string'],
])('an abort ends the wait at once, with its reason: %s', async (_, reason) => {
  await using origin = await scripted(status(503, 200 * KiB, 'retry-after: 20\r\n'))
  await using client = retrying()
  const abort = new AbortController()
  const call = failure(client.fetch(origin.url, { signal: abort.signal }))
  await until(() => client.stats().retries.made === 1, 'it waits')
  abort.abort(reason)
  expect(await call).toBe(reason)
  expect(origin.seen).toHaveLength(1)
})

test('an abort during an attempt is not retried', async () => {
  await using origin = await scripted(status(503), silence)
  await using client = retrying()
  const reason = new Error('mine')
  const abort = new AbortController()
  const call = failure(client.fetch(origin.url, { signal: abort.signal }))
  await until(() => origin.seen.length === 2, 'the second attempt is sent')
  abort.abort(reason)
  expect(await call).toBe(reason)
  expect(Object.keys(reason)).toEqual([])
})

test("a signal of AbortSignal.timeout is the caller's, and ends everything", async () => {
  await using origin = await scripted(status(503, 0, 'retry-after: 20\r\n'))
  await using client = retrying()
  await expect(client.fetch(origin.url, { signal: AbortSignal.timeout(60) })).rejects.toMatchObject({
    name: 'TimeoutError',
  })
})

const bodies: [string, () => RequestInit['body'] | FormData, string][] = [
  ['text', () => 'content', 'content'],
  ['bytes', () => Buffer.from('content'), 'content'],
  ['a Blob', () => new Blob(['content']), 'content'],
  ['URLSearchParams', () => new URLSearchParams({ a: 'b' }), 'a=b'],
]

async function echoing(...answers: Answer[]): Promise<Origin & { bodies: string[] }> {
  const http = await import('node:http')
  const received: string[] = []
  let at = 0
  const server = http.createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      received.push(body)
      const answer = answers[at++]
      if (answer === undefined) response.end('ok')
      else if (answer === reset) request.socket.resetAndDestroy()
      else response.writeHead(503).end('x'.repeat(100 * KiB))
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    bodies: received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => void server.close(resolve))
    },
  } as unknown as Origin & { bodies: string[] }
}

test.each(bodies)('a body that is %s is sent again', async (_, make, expected) => {
  await using origin = await echoing(status(503), status(503))
  await using client = retrying()
  const response = await client.fetch(origin.url, { method: 'PUT', body: make() as string })
  expect(await response.text()).toBe('ok')
  expect(origin.bodies).toEqual([expected, expected, expected])
})

test('a form is sent again', async () => {
  await using origin = await echoing(status(503))
  await using client = retrying()
  const body = new FormData()
  body.set('name', 'value')
  await client.fetch(origin.url, { method: 'PUT', body })
  expect(origin.bodies).toHaveLength(2)
  for (const sent of origin.bodies) expect(sent).toMatch(/name="name"\r\n\r\nvalue\r\n/)
})

test('the body of a Request is sent again', async () => {
  await using origin = await echoing(status(503))
  await using client = retrying()
  const request = new Request(origin.url, { method: 'PUT', body: 'content', headers: { 'x-mine': 'y' } })
  expect(await (await client.fetch(request)).text()).toBe('ok')
  expect(origin.bodies).toEqual(['content', 'content'])
})

test('a function makes the body of each attempt', async () => {
  await using origin = await echoing(status(503), reset)
  await using client = retrying()
  let made = 0
  const body = (): Readable => Readable.from([Buffer.from(`body ${++made}`)])
  const response = await client.fetch(origin.url, { method: 'PUT', body: body as never })
  expect(await response.text()).toBe('ok')
  expect(origin.bodies).toEqual(['body 1', 'body 2', 'body 3'])
})

test('a function makes a body where nothing is retried, too', async () => {
  await using origin = await echoing()
  await using client = testClient()
  await client.fetch(origin.url, { method: 'POST', body: async () => 'made' })
  expect(origin.bodies).toEqual(['made'])
})

test('what the function throws ends the call with it', async () => {
  await using client = retrying()
  const thrown = new Error('mine')
  const body = (): string => {
    throw thrown
  }
  expect(await failure(client.fetch('http://127.0.0.1:9/', { method: 'PUT', body }))).toBe(thrown)
})

test('a stream that was sent is never sent again: a failure says so, a response is handed out', async () => {
  await using failing = await echoing(reset, reset)
  await using busy = await echoing(status(503))
  await using client = retrying()
  const init = (): RequestInit =>
    ({
      method: 'PUT',
      duplex: 'half',
      body: Readable.from([Buffer.from('content')]),
    }) as unknown as RequestInit
  const error = await failure(client.fetch(failing.url, init()))
  expect(error).toBeInstanceOf(BodyNotReplayableError)
  expect(error).toBeInstanceOf(TypeError)
  expect(error).toMatchObject({
    code: 'ERR_DRAINED_BODY_NOT_REPLAYABLE',
    cause: { code: expect.stringMatching(/UND_ERR_SOCKET|ECONNRESET/) },
  })
  const response = await client.fetch(busy.url, init())
  expect(response.status).toBe(503)
  await response.body?.cancel()
  expect([failing.bodies, busy.bodies]).toEqual([['content'], ['content']])
  expect(client.stats().retries.gaveUp.body).toBe(2)
})

test('retries are published, and secrets are not', async () => {
  await using origin = await scripted(status(503))
  await using client = retrying({ name: 'mine' })
  const events: RetryEvent[] = []
  const listen = (message: unknown): void => void events.push(message as RetryEvent)
  diagnostics.subscribe('drained:retry', listen)
  await client.fetch(`${origin.url}/path?sig=hunter2`, { retry: 2 })
  diagnostics.unsubscribe('drained:retry', listen)
  const facts = { client: 'mine', origin: origin.url, method: 'GET', path: '/path?sig=***', status: 503 }
  expect(events).toEqual([
    { ...facts, attempt: 1, code: undefined, wait: expect.any(Number), gaveUp: undefined },
    { ...facts, attempt: 2, code: undefined, wait: undefined, gaveUp: 'attempts' },
  ])
})

test('an outage sees 1.2 times the load and the floor, no more', async () => {
  await using origin = await scripted(status(503))
  await using client = retrying({ connections: 10 })
  await Promise.all(
    Array.from({ length: 200 }, () => client.fetch(origin.url).then((response) => response.text())),
  )
  expect(origin.seen.length).toBeLessThanOrEqual(200 * 1.2 + 10)
  expect(origin.seen.length).toBeGreaterThan(200 * 1.1)
  expect(client.stats().retries.gaveUp.budget).toBeGreaterThan(100)
})
