/** Failures scripted with nock, as users' own tests do it. */
import nock from 'nock'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createClient } from '../../src/index.ts'
import { until } from '../support/until.ts'

const url = 'http://service.test'

beforeAll(() => nock.disableNetConnect())
afterEach(() => {
  expect(nock.pendingMocks()).toEqual([])
  nock.cleanAll()
})
afterAll(() => nock.restore())

const client = (): ReturnType<typeof createClient> =>
  createClient({ origin: url, connections: 1, retry: { backoff: { initial: 1 } } })

test('503, then the answer', async () => {
  nock(url)
    .get('/items')
    .times(2)
    .reply(503, { error: 'busy' })
    .get('/items')
    .reply(200, { items: [1] })
  await using service = client()
  expect(await (await service.fetch('/items')).json()).toEqual({ items: [1] })
  expect(service.stats().retries.made).toBe(2)
  await until(() => service.stats().bodies.open === 0, 'no body is open')
})

test('429 with Retry-After is waited for', async () => {
  nock(url).get('/items').reply(429, '', { 'retry-after': '0.2' }).get('/items').reply(200, 'ok')
  const waits: number[] = []
  await using service = client()
  const response = await service.fetch('/items', { retry: { onRetry: ({ wait }) => void waits.push(wait) } })
  expect(await response.text()).toBe('ok')
  expect(waits).toEqual([200])
})

test('429 with a Retry-After of an hour is handed out', async () => {
  nock(url).get('/items').reply(429, 'later', { 'retry-after': '3600' })
  await using service = client()
  const response = await service.fetch('/items')
  expect([response.status, await response.text()]).toEqual([429, 'later'])
})

test.each(['ECONNRESET', 'ECONNREFUSED', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'])(
  '%s, then the answer',
  async (code) => {
    nock(url)
      .get('/items')
      .replyWithError(Object.assign(new Error('mock'), { code }))
      .get('/items')
      .reply(200, 'ok')
    await using service = client()
    expect(await (await service.fetch('/items')).text()).toBe('ok')
  },
)

test.each(['EACCES', 'ERR_TLS_CERT_ALTNAME_INVALID', 'DEPTH_ZERO_SELF_SIGNED_CERT'])(
  '%s is not retried: it would be the same again',
  async (code) => {
    nock(url)
      .get('/items')
      .replyWithError(Object.assign(new Error('mock'), { code }))
    await using service = client()
    await expect(service.fetch('/items')).rejects.toMatchObject({ message: 'fetch failed', cause: { code } })
    expect(service.stats().retries.made).toBe(0)
  },
)

test('a POST is sent once, and with retry for POST its body is sent again', async () => {
  nock(url).post('/items', { name: 'a' }).reply(503).post('/items', { name: 'a' }).reply(503)
  nock(url).post('/items', { name: 'a' }).reply(201)
  await using service = client()
  const init = { method: 'POST', body: '{"name":"a"}', headers: { 'content-type': 'application/json' } }
  expect((await service.fetch('/items', init)).status).toBe(503)
  expect((await service.fetch('/items', { ...init, retry: { methods: ['POST'] } })).status).toBe(201)
})
