/** What p-retry does that a client for HTTP must not do: each has a test that it does not come through. */
import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { testClient } from '../support/client.ts'
import { createOrigin, type Origin } from '../support/origin.ts'
import { until } from '../support/until.ts'

const fast = { backoff: { initial: 1, max: 2 } }
const failing = (): Promise<Origin> =>
  createOrigin((_, reply) =>
    reply.write(`HTTP/1.1 503 Busy\r\ncontent-length: 300000\r\n\r\n${'x'.repeat(300_000)}`),
  )

test('it retries what throws: a response that is no error to fetch is retried all the same, and given up first', async () => {
  await using origin = await failing()
  await using client = testClient({ retry: fast })
  const response = await client.fetch(origin.url)
  await response.body?.cancel()
  expect(origin.seen).toHaveLength(3)
  expect(origin.accepted).toBe(1)
})

test('it tells errors apart by their messages: a redirect that is refused says "fetch failed", too, and is not retried', async () => {
  await using origin = await createOrigin((_, reply) =>
    reply.write('HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n'),
  )
  await using client = testClient({ retry: fast })
  await expect(client.fetch(origin.url, { redirect: 'error' })).rejects.toThrow('fetch failed')
  await expect(client.fetch('http://127.0.0.1:1/')).rejects.toThrow('fetch failed')
  expect(origin.seen).toHaveLength(1)
})

test('it retries every error that is no TypeError: ours for bad options ends the call', async () => {
  await using client = testClient({ retry: fast })
  await expect(client.fetch('http://127.0.0.1:9/', { timeout: -1 })).rejects.toMatchObject({
    code: 'ERR_DRAINED_INVALID_OPTION',
  })
  expect(client.stats().retries.made).toBe(0)
})

test("it retries the caller's own AbortError, if only fetch knows the signal: ours knows whose it is", async () => {
  await using origin = await createOrigin(() => new Promise<void>(() => {}))
  await using client = testClient({ retry: fast })
  const abort = new AbortController()
  const call = client.fetch(origin.url, { signal: abort.signal })
  const failed = expect(call).rejects.toMatchObject({ name: 'AbortError' })
  await until(() => origin.seen.length === 1, 'it is sent')
  abort.abort()
  await failed
  expect(origin.seen).toHaveLength(1)
})

test('it turns what is no Error into a TypeError: a reason is handed on as it is', async () => {
  await using client = testClient({ retry: fast })
  for (const reason of ['text', 42, null, { mine: true }]) {
    await expect(client.fetch('http://127.0.0.1:9/', { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    )
  }
})

test('it makes eleven attempts over seventeen minutes: ours are three', async () => {
  await using origin = await failing()
  await using client = testClient({ retry: true })
  const response = await client.fetch(origin.url)
  await response.body?.cancel()
  expect(origin.seen).toHaveLength(3)
})

test('it rejects with the last error alone: ours has those before it', async () => {
  await using origin = await createOrigin((_, reply) => reply.reset())
  await using client = testClient({ retry: fast })
  const error: unknown = await client.fetch(origin.url).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ attempts: 3, errors: [expect.any(TypeError), expect.any(TypeError)] })
  expect((error as { errors: unknown[] }).errors).not.toContain(error)
})

test('its time limit starts an attempt after the limit: with ours no request is sent that cannot be answered in time', async () => {
  await using origin = await createOrigin((_, reply) =>
    reply.write('HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n'),
  )
  await using client = testClient({ retry: fast, timeout: { total: 900 } })
  expect((await client.fetch(origin.url)).status).toBe(503)
  expect(origin.seen).toHaveLength(1)
})

test('it drops a response that comes as the signal aborts: ours ends with the signal, and its connection comes back', async () => {
  await using origin = await createOrigin(async (_, reply) => {
    await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n')
    await reply.write('x'.repeat(300_000))
  })
  await using client = testClient({ retry: fast })
  for (let round = 0; round < 20; round++) {
    const abort = new AbortController()
    // In the very turn in which the response is handed out.
    const shouldRetry = (): Promise<boolean> => {
      abort.abort(new Error('mine'))
      return Promise.resolve(round % 2 === 0)
    }
    const call = client.fetch(origin.url, { signal: abort.signal, retry: { shouldRetry } })
    await call.then(
      (response) => expect(response.text()).rejects.toThrow('mine'),
      (error: unknown) => expect(error).toMatchObject({ message: 'mine' }),
    )
  }
  await until(() => client.stats().bodies.open === 0, 'no body is open')
})

test('a long-lived signal keeps no listener of calls that are over', async () => {
  await using origin = await failing()
  await using client = testClient({ retry: fast })
  const { signal } = new AbortController()
  for (let call = 0; call < 5; call++) await (await client.fetch(origin.url, { signal })).arrayBuffer()
  await until(() => getEventListeners(signal, 'abort').length === 0, 'listeners are gone')
})
