/** ofetch on a client's fetch. */
import { createFetch, FetchError } from 'ofetch'
import { expect, test } from 'vitest'
import { api, expectReused } from './support.ts'
import { refused } from '../support/refused.ts'

test('ofetch reads JSON, sends JSON and queries, and hands out raw responses and streams', async () => {
  await using origin = await api()
  const http = createFetch({ fetch: origin.fetch, Headers, AbortController }).create({
    baseURL: origin.url,
  })
  expect(await http('/items', { query: { a: 1 } })).toEqual({ items: [1, 2, 3], query: { a: '1' } })
  expect(await http('/items', { method: 'POST', body: { x: 1 } })).toMatchObject({
    method: 'POST',
    type: 'application/json',
    body: '{"x":1}',
  })
  const raw = await http.raw('/text', { responseType: 'text' })
  expect([raw.status, raw._data]).toEqual([200, 'plain'])
  const stream: ReadableStream<Uint8Array> = await http('/lines', { responseType: 'stream' })
  let text = ''
  for await (const part of stream) text += Buffer.from(part).toString()
  expect(text).toBe('one\ntwo\nthree\n')
  expectReused(origin)
})

test('errors carry their data, retries succeed, and none of it costs a connection', async () => {
  await using origin = await api()
  const http = createFetch({ fetch: origin.fetch, Headers, AbortController })
  for (let i = 0; i < 10; i++) {
    const error: unknown = await http(`${origin.url}/missing`).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(FetchError)
    expect(error).toMatchObject({ status: 404, data: { error: 'missing' } })
  }
  expect(await http(`${origin.url}/flaky?of`, { retry: 3, retryDelay: 1 })).toEqual({ attempts: 3 })
  expectReused(origin)
})

test('timeouts, aborts and refused connections keep their reasons', async () => {
  await using origin = await api()
  const http = createFetch({ fetch: origin.fetch, Headers, AbortController })
  const late: unknown = await http(`${origin.url}/slow`, { timeout: 50, retry: 0 }).catch(
    (reason: unknown) => reason,
  )
  expect((late as FetchError).cause).toMatchObject({ name: 'TimeoutError' })
  const failed: unknown = await http((await refused()).url, { retry: 0 }).catch((reason: unknown) => reason)
  expect(((failed as FetchError).cause as Error).cause).toMatchObject({ code: 'ECONNREFUSED' })
})

test('interceptors see the response before it is read', async () => {
  await using origin = await api()
  const seen: number[] = []
  const http = createFetch({ fetch: origin.fetch, Headers, AbortController })
  await http(`${origin.url}/items`, { onResponse: ({ response }) => void seen.push(response.status) })
  expect(seen).toEqual([200])
})
