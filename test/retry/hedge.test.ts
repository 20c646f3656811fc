/** Hedged requests: the first answer wins, and nothing is left of the other request. */
import { expect, test } from 'vitest'
import { type Client, type ClientOptions, TimeoutError } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin, type Origin, type Reply } from '../support/origin.ts'
import { watchTimers } from '../support/timers.ts'
import { until } from '../support/until.ts'

const after = 40

const hedging = (options: ClientOptions = {}): Client & AsyncDisposable =>
  testClient({ connections: 4, hedge: { after }, ...options })

interface Held extends Reply {
  /** The connection may carry the next request. */
  done(): void
}

/** Answers are written when the test says so, by the order of the requests. */
async function held(): Promise<Origin & { readonly replies: Held[] }> {
  const replies: Held[] = []
  const origin = await createOrigin(
    (_, reply) =>
      new Promise<void>((done) => {
        replies.push(Object.assign(Object.create(reply) as Reply, { done }))
      }),
  )
  return Object.assign(origin, { replies })
}

async function answer(reply: Held | undefined, body: string, status = 200): Promise<void> {
  if (reply === undefined) throw new Error('no request')
  await reply.write(`HTTP/1.1 ${status} Status\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  reply.done()
}

const second = (origin: { replies: Held[] }): Promise<void> =>
  until(() => origin.replies.length === 2, 'the second request is sent')

/** A call that is hedged: had one that came before it been due, it would have been sent by now. */
async function hedgesAnother(client: Client, origin: Origin & { replies: Held[] }): Promise<void> {
  const call = client.fetch(`${origin.url}/another`)
  const sent = (): Held[] => origin.replies.filter((_, at) => origin.seen[at]?.path === '/another')
  await until(() => sent().length === 2, 'another call is hedged')
  for (const reply of sent()) await answer(reply, 'another')
  expect(await (await call).text()).toBe('another')
}

test('a request without an answer is sent again on another connection, and the first answer wins', async () => {
  await using origin = await held()
  await using client = hedging()
  const call = client.fetch(origin.url)
  await second(origin)
  await answer(origin.replies[1], 'second')
  expect(await (await call).text()).toBe('second')
  expect(origin.seen.map(({ connection }) => connection)).toEqual([0, 1])
  // The one that lost is over: its connection with it.
  await until(() => origin.open === 1, 'the other request is aborted')
  expect(client.stats().retries).toMatchObject({ made: 0, hedged: 1 })
  expect(client.stats().requests).toEqual(expect.objectContaining({ waiting: 0, inFlight: 0 }))
})

test('the first request may win, too, and its body is read to the end', async () => {
  await using origin = await held()
  await using client = hedging()
  const call = client.fetch(origin.url)
  await second(origin)
  const [first] = origin.replies
  await first?.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nfir')
  const response = await call
  await until(() => origin.open === 1, 'the other request is aborted')
  await first?.write('st!')
  expect(await response.text()).toBe('first!')
})

test('an answer in time is all there is', async () => {
  await using origin = await createOrigin((_, reply) =>
    reply.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
  )
  await using client = hedging({ hedge: { after: 50_000 } })
  using timers = watchTimers(50_000, 50_000)
  for (let call = 0; call < 3; call++) await (await client.fetch(origin.url)).text()
  expect([timers.made(), timers.pending()]).toEqual([3, 0])
  expect(origin.seen).toHaveLength(3)
  expect(client.stats().retries.hedged).toBe(0)
})

test('what must not be done twice is sent once: POST, and a body that is a stream', async () => {
  await using origin = await held()
  await using client = hedging()
  const stream = new Blob(['content']).stream()
  const calls = [
    client.fetch(origin.url, { method: 'POST', body: 'content' }),
    client.fetch(origin.url, { method: 'PUT', body: stream, duplex: 'half' }),
  ]
  await second(origin)
  await hedgesAnother(client, origin)
  expect(origin.seen.map(({ method, path }) => method + path).join(' ')).toBe(
    'POST/ PUT/ GET/another GET/another',
  )
  expect(client.stats().retries.hedged).toBe(1)
  for (const reply of origin.replies) await answer(reply, 'ok')
  for (const call of calls) expect(await (await call).text()).toBe('ok')
})

test('a body that can be sent again is, and a function makes one for each request', async () => {
  await using origin = await held()
  await using client = hedging()
  let made = 0
  const call = client.fetch(origin.url, { method: 'PUT', body: () => `body ${++made}` })
  await second(origin)
  await answer(origin.replies[1], 'ok')
  expect(await (await call).text()).toBe('ok')
  expect(made).toBe(2)
})

test('a server that fails does not win while the other request may do better', async () => {
  await using origin = await held()
  await using client = hedging()
  const call = client.fetch(origin.url)
  await second(origin)
  await answer(origin.replies[0], 'x'.repeat(100_000), 503)
  await until(() => client.stats().bodies.open === 1, 'its answer is here')
  await answer(origin.replies[1], 'fine')
  expect(await (await call).text()).toBe('fine')
})

test('when both fail, the last one is what the caller gets, and the other is given up', async () => {
  await using origin = await held()
  await using client = hedging()
  const call = client.fetch(origin.url)
  await second(origin)
  const failed = expect(call).rejects.toThrow('fetch failed')
  await answer(origin.replies[0], 'first', 503)
  await until(() => client.stats().bodies.open === 1, 'the first one has failed')
  origin.replies[1]?.reset()
  await failed
  await until(() => client.stats().bodies.open === 0, 'the other one is given up')
})

test('a request that fails before the second one is due is not hedged', async () => {
  await using origin = await createOrigin((_, reply) => reply.reset())
  // Far longer than it takes to fail, however slow the machine.
  const due = 10_000
  await using client = hedging({ hedge: { after: due } })
  const started = performance.now()
  await expect(client.fetch(origin.url)).rejects.toThrow('fetch failed')
  expect(performance.now() - started).toBeLessThan(due)
  expect(client.stats().retries.hedged).toBe(0)
})

test("the caller's abort ends both requests with its reason", async () => {
  await using origin = await held()
  await using client = hedging()
  const abort = new AbortController()
  const call = client.fetch(origin.url, { signal: abort.signal })
  const failed = expect(call).rejects.toBe('mine')
  await second(origin)
  abort.abort('mine')
  await failed
  await until(() => origin.open === 0, 'both are gone')
})

test("the caller's abort still ends the body of the answer that won", async () => {
  await using origin = await held()
  await using client = hedging()
  const abort = new AbortController()
  const call = client.fetch(origin.url, { signal: abort.signal })
  await second(origin)
  await origin.replies[1]?.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsec')
  const body = (await call).text()
  const failed = expect(body).rejects.toBe('mine')
  abort.abort('mine')
  await failed
})

test('limits of the call end both requests', async () => {
  await using origin = await held()
  await using client = hedging({ timeout: { total: 1_000 } })
  await expect(client.fetch(origin.url)).rejects.toBeInstanceOf(TimeoutError)
  expect(origin.replies).toHaveLength(2)
  await until(() => origin.open === 0, 'both are gone')
})

test('the loser that answers at the same moment is given up', async () => {
  await using origin = await held()
  await using client = hedging()
  for (let round = 1; round <= 10; round++) {
    const call = client.fetch(origin.url)
    await until(() => origin.replies.length === 2, 'the second request is sent')
    await Promise.all(origin.replies.splice(0).map((reply) => answer(reply, 'x'.repeat(200_000))))
    expect((await (await call).text()).length).toBe(200_000)
  }
  await until(() => client.stats().bodies.open === 0, 'nothing is open')
  const { read, drained, closed } = client.stats().bodies
  expect(read).toBe(10)
  expect(drained + closed).toBeLessThanOrEqual(10)
})

test('hedged requests are paid for by the budget of the retries', async () => {
  await using origin = await held()
  await using client = hedging({ connections: 40, retry: { maxAttempts: 1, budget: { share: 0, floor: 3 } } })
  const calls = Array.from({ length: 10 }, () => client.fetch(origin.url))
  await until(() => origin.replies.length === 13, 'three are hedged')
  await using other = hedging()
  await hedgesAnother(other, origin)
  expect(origin.seen.filter(({ path }) => path === '/')).toHaveLength(13)
  expect(client.stats().retries.hedged).toBe(3)
  for (const reply of origin.replies) await answer(reply, 'ok')
  for (const call of calls) expect(await (await call).text()).toBe('ok')
})

test('hedged attempts are retried like others, and hedge: false takes it away for a call', async () => {
  await using origin = await held()
  await using client = hedging({ retry: { backoff: { initial: 1 } } })
  const call = client.fetch(origin.url)
  await second(origin)
  for (const reply of origin.replies) await answer(reply, 'no', 503)
  await until(() => origin.replies.length >= 3, 'the next attempt is sent')
  // It may be hedged already.
  for (const reply of origin.replies.slice(2)) await answer(reply, 'yes')
  expect(await (await call).text()).toBe('yes')
  const single = client.fetch(`${origin.url}/single`, { hedge: false })
  const sent = (): number[] => origin.seen.flatMap(({ path }, at) => (path === '/single' ? [at] : []))
  await until(() => sent().length === 1, 'it is sent')
  await hedgesAnother(client, origin)
  expect(sent()).toHaveLength(1)
  await answer(origin.replies[sent()[0] as number], 'one')
  expect(await (await single).text()).toBe('one')
})
