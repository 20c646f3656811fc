/** What ends a call between its attempts: the caller, the limits, the client; at once, and with the right reason. */
import { expect, test } from 'vitest'
import { type Client, type ClientOptions, createClient, type RetryNotice } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin, type Origin, type Reply } from '../support/origin.ts'
import { s3 } from '../../src/storage.ts'
import { turns, watchWarnings } from '../support/timers.ts'
import { until } from '../support/until.ts'

const failing = (headers = '', size = 0): Promise<Origin> =>
  createOrigin((_, reply) =>
    reply.write(`HTTP/1.1 503 Busy\r\ncontent-length: ${size}\r\n${headers}\r\n${'x'.repeat(size)}`),
  )
const retrying = (options: ClientOptions = {}): Client & AsyncDisposable =>
  testClient({ retry: { backoff: { initial: 1, max: 2 } }, ...options })
const never = (): Promise<never> => new Promise(() => {})

/** The outcome, or 'pending' if there is none in so many milliseconds: a limit that is never met by what works. */
const within = (promise: Promise<unknown>, ms = 8_000): Promise<unknown> =>
  Promise.race([
    promise.then(
      (value) => value,
      (error: unknown) => error,
    ),
    new Promise((resolve) => setTimeout(resolve, ms, 'pending').unref()),
  ])

test('onRetry is told everything a policy is told, headers included', async () => {
  await using origin = await failing()
  await using client = retrying()
  const notices: RetryNotice[] = []
  const onRetry = (notice: RetryNotice): void => void notices.push(notice)
  await client.fetch(origin.url, { headers: { 'x-mine': 'y' }, retry: { maxAttempts: 2, onRetry } })
  const [notice] = notices
  expect(notice?.headers.get('x-mine')).toBe('y')
  expect({ ...notice }).toMatchObject({ attempt: 1, method: 'GET', wait: expect.any(Number), waited: 0 })
})

test('an abort ends a call whose shouldRetry has not decided yet', async () => {
  await using origin = await failing('', 100_000)
  await using client = retrying()
  const abort = new AbortController()
  let asked = false
  const shouldRetry = (): Promise<boolean> => {
    asked = true
    return never()
  }
  const call = within(client.fetch(origin.url, { signal: abort.signal, retry: { shouldRetry } }))
  await until(() => asked, 'it is asked')
  abort.abort('mine')
  expect(await call).toBe('mine')
})

test('the total ends a call whose shouldRetry has not decided yet', async () => {
  await using origin = await failing('', 100_000)
  await using client = retrying()
  const call = client.fetch(origin.url, { timeout: 100, retry: { shouldRetry: never } })
  expect(await within(call)).toMatchObject({ phase: 'total', limit: 100 })
})

test('an abort ends a call whose body is still being made', async () => {
  await using client = retrying()
  const abort = new AbortController()
  const call = within(
    client.fetch('http://127.0.0.1:1/', { method: 'PUT', signal: abort.signal, body: never }),
  )
  abort.abort('mine')
  expect(await call).toBe('mine')
})

test('the total ends a call whose body is still being made', async () => {
  await using client = retrying()
  const call = client.fetch('http://127.0.0.1:1/', { method: 'PUT', timeout: 100, body: never })
  expect(await within(call)).toMatchObject({ phase: 'total', limit: 100 })
})

test('time that shouldRetry takes counts: no wait is begun that ends after the total', async () => {
  await using origin = await failing('', 10)
  await using client = testClient({ retry: { backoff: { initial: 2_900, jitter: 'none' } } })
  const shouldRetry = async (): Promise<boolean> => {
    await new Promise((resolve) => setTimeout(resolve, 200))
    return true
  }
  const outcome = await within(client.fetch(origin.url, { timeout: 3_000, retry: { shouldRetry } }))
  expect(outcome).toMatchObject({ status: 503 })
  await (outcome as Response).text()
  expect(client.stats().retries.gaveUp.total).toBe(1)
  expect(origin.seen).toHaveLength(1)
})

test.each(['shouldRetry', 'onRetry'])(
  'when %s throws, its response is given up, whatever its size',
  async (name) => {
    await using origin = await failing('', 5_000_000)
    await using client = retrying({ connections: 1 })
    const fails = (): never => {
      throw new Error('mine')
    }
    for (let call = 0; call < 3; call++) {
      expect(await within(client.fetch(origin.url, { retry: { [name]: fails } }))).toMatchObject({
        message: 'mine',
      })
    }
    expect(client.stats().bodies.open).toBe(0)
  },
)

test('destroy() ends a wait at once', async () => {
  await using origin = await failing('retry-after: 30\r\n')
  const client = createClient({ retry: true })
  const call = within(client.fetch(origin.url))
  await until(() => client.stats().retries.made === 1, 'it waits')
  await client.destroy(new Error('mine'))
  expect(await call).toBeInstanceOf(Error)
})

test('close() ends a wait at once, and says that the client is closed', async () => {
  await using origin = await failing('retry-after: 30\r\n')
  const client = createClient({ retry: true })
  const call = within(client.fetch(origin.url))
  await until(() => client.stats().retries.made === 1, 'it waits')
  await client.close()
  expect(await call).toMatchObject({ message: 'fetch failed', cause: { code: 'UND_ERR_CLOSED' } })
})

test('a client that is destroyed is not tried again', async () => {
  await using origin = await createOrigin(never)
  const client = createClient({ retry: { backoff: { initial: 1 } } })
  const reset = Object.assign(new Error('mine'), { code: 'ECONNRESET' })
  const calls = [within(client.fetch(origin.url)), within(client.fetch(origin.url))]
  await until(() => origin.seen.length === 2, 'both are sent')
  await client.destroy(reset)
  const outcomes = await Promise.all(calls)
  for (const outcome of outcomes) expect(outcome).toBeInstanceOf(TypeError)
  expect(Object.keys(reset)).toEqual(['code'])
})

test('a policy that asks for a wait longer than a timer holds does not get none', async () => {
  using warnings = watchWarnings()
  await using origin = await failing()
  await using client = testClient()
  const abort = new AbortController()
  const retry = { maxAttempts: 3, next: () => ({ retry: true, wait: 2 ** 31 }) as const }
  const call = within(client.fetch(origin.url, { signal: abort.signal, retry }))
  await until(() => client.stats().retries.made > 0, 'it waits')
  await turns()
  // A timer that cannot hold so much fires at once, and Node warns.
  expect(warnings.names).toEqual([])
  expect(origin.seen).toHaveLength(1)
  abort.abort('mine')
  expect(await call).toBe('mine')
})

/** An origin that answers when it is told to, and not before. */
async function held(answer: (reply: Reply) => unknown): Promise<{ origin: Origin; release: () => void }> {
  const { promise, resolve: release } = Promise.withResolvers<void>()
  const origin = await createOrigin(async (_, reply) => {
    await promise
    await answer(reply)
  })
  return { origin, release }
}

const options: [string, ClientOptions][] = [
  ['without retries', {}],
  ['with retries', { retry: true }],
  ['with a policy', { retry: s3() }],
  ['with a shouldRetry that takes its time', { retry: { shouldRetry: async () => true } }],
  ['with hedged requests', { retry: true, hedge: { after: 60_000 } }],
]
for (const [name, given] of options) {
  test(`an answer that comes after close() is handed out, and nothing follows it: ${name}`, async () => {
    const { origin, release } = await held((reply) =>
      reply.write('HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy'),
    )
    await using _ = origin
    const client = createClient(given)
    const call = within(
      client.fetch(origin.url).then(async (response) => [response.status, await response.text()]),
    )
    await until(() => origin.seen.length === 1, 'it is sent')
    const closed = client.close()
    release()
    expect(await call).toEqual([503, 'busy'])
    await closed
    expect(client.stats().retries).toMatchObject({ made: 0, gaveUp: { attempts: 0, budget: 0 } })
    expect(origin.seen).toHaveLength(1)
  })

  test(`a failure that comes after close() is the one the call fails with: ${name}`, async () => {
    const { origin, release } = await held((reply) => reply.reset())
    await using _ = origin
    const client = createClient(given)
    const call = within(client.fetch(origin.url))
    await until(() => origin.seen.length === 1, 'it is sent')
    const closed = client.close()
    release()
    expect(await call).toMatchObject({
      message: 'fetch failed',
      cause: { code: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) },
    })
    await closed
    expect(client.stats().retries.made).toBe(0)
  })
}

test('close() lets a policy read the answer it is asked about, and hands that out, whatever the policy says', async () => {
  for (const body of ['<CopyObjectResult/>', '<Error><Code>SlowDown</Code></Error>']) {
    const { promise, resolve: release } = Promise.withResolvers<void>()
    await using origin = await createOrigin(async (_, reply) => {
      await reply.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`)
      await promise
      await reply.write(body)
    })
    const client = createClient({ retry: s3() })
    const init = { method: 'PUT', headers: { 'x-amz-copy-source': 'a/b' } }
    const call = within(client.fetch(origin.url, init).then((response) => response.text()))
    await until(() => client.stats().bodies.open === 1, 'its head is here')
    const closed = client.close()
    release()
    expect(await call).toBe(body)
    await closed
    expect(client.stats().retries.made).toBe(0)
  }
})

test('destroy() ends a call whose shouldRetry has not decided yet, after close() as well', async () => {
  for (const closes of [false, true]) {
    await using origin = await failing('', 100_000)
    const client = createClient({ retry: true })
    let asked = false
    const shouldRetry = (): Promise<boolean> => {
      asked = true
      return never()
    }
    const call = within(client.fetch(origin.url, { retry: { shouldRetry } }))
    await until(() => asked, 'it is asked')
    const closed = closes ? client.close() : undefined
    const mine = new Error('mine')
    await client.destroy(mine)
    expect(await call).toMatchObject({ message: 'fetch failed', cause: mine })
    await closed
  }
})

test('close() ends a call whose body is still being made: it would not be sent', async () => {
  const client = createClient()
  const call = within(client.fetch('http://127.0.0.1:1/', { method: 'PUT', body: never }))
  await client.close()
  expect(await call).toMatchObject({ message: 'fetch failed', cause: { code: 'UND_ERR_CLOSED' } })
})
