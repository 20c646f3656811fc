/** ky on a client's fetch: its everyday calls, hooks, retries and errors, and no connection lost to an answer it leaves unread. */
import ky, { HTTPError, TimeoutError } from 'ky'
import { expect, test } from 'vitest'
import { api, expectReused } from './support.ts'
import { refused } from '../support/refused.ts'

test('ky reads JSON, text and streams, and sends JSON, forms and queries', async () => {
  await using origin = await api()
  const http = ky.create({ baseUrl: `${origin.url}/`, fetch: origin.fetch })
  expect(await http.get('items', { searchParams: { a: '1' } }).json()).toEqual({
    items: [1, 2, 3],
    query: { a: '1' },
  })
  expect(await http.post('items', { json: { x: 'ü' } }).json()).toEqual({
    method: 'POST',
    type: 'application/json',
    body: '{"x":"ü"}',
  })
  const form = new FormData()
  form.append('name', 'value')
  form.append('file', new File(['content'], 'f.txt', { type: 'text/plain' }))
  const sent = await http.put('items', { body: form }).json<{ type: string; body: string }>()
  expect(sent.type).toMatch(/^multipart\/form-data; ?boundary=/)
  expect(sent.body).toMatch(
    /name="name"\r\n\r\nvalue\r\n[^]*filename="f\.txt"\r\nContent-Type: text\/plain\r\n\r\ncontent/,
  )
  expect(await http.get('text').text()).toBe('plain')
  const lines = (await http.get('lines')).body as ReadableStream<Uint8Array>
  let text = ''
  for await (const part of lines) text += Buffer.from(part).toString()
  expect(text).toBe('one\ntwo\nthree\n')
  expectReused(origin)
})

test('a body ky sends as JSON has its length, as servers without chunked requests need it', async () => {
  await using origin = await api()
  const headers = await ky
    .post(`${origin.url}/headers`, { json: { a: 1 }, fetch: origin.fetch })
    .json<Record<string, string>>()
  expect(headers['content-length']).toBe('7')
  expect(headers['transfer-encoding']).toBeUndefined()
})

test('ky retries what fails with 503, and neither attempts nor errors cost a connection', async () => {
  await using origin = await api()
  const http = ky.create({ fetch: origin.fetch, retry: { limit: 3, delay: () => 1 } })
  for (let i = 0; i < 5; i++)
    expect(await http.get(`${origin.url}/flaky?${i}`).json()).toEqual({ attempts: 3 })
  for (let i = 0; i < 10; i++) {
    const error: unknown = await http.get(`${origin.url}/missing`).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(HTTPError)
    expect((error as HTTPError).response.status).toBe(404)
  }
  expectReused(origin, 2)
})

test('hooks may clone and read the answer, and others read it after them', async () => {
  await using origin = await api()
  const read: unknown[] = []
  const http = ky.create({
    fetch: origin.fetch,
    hooks: {
      afterResponse: [
        async ({ response }) => {
          read.push(await response.clone().json())
        },
      ],
    },
  })
  expect(await http.get(`${origin.url}/items`).json()).toEqual(read[0])
  expect(read).toHaveLength(1)
})

test('a timeout, an abort and a refused connection end as ky says, with the cause as fetch gives it', async () => {
  await using origin = await api()
  const http = ky.create({ fetch: origin.fetch, retry: 0 })
  await expect(http.get(`${origin.url}/slow`, { timeout: 50 })).rejects.toBeInstanceOf(TimeoutError)
  const controller = new AbortController()
  const reason = new Error('mine')
  const aborted = http.get(`${origin.url}/slow`, { signal: controller.signal })
  setTimeout(() => controller.abort(reason), 20)
  await expect(aborted).rejects.toBe(reason)
  const error: unknown = await http.get((await refused()).url).catch((failure: unknown) => failure)
  const causes: unknown[] = []
  for (let each = error as Error | undefined; each; each = each.cause as Error | undefined)
    causes.push((each as NodeJS.ErrnoException).code)
  expect(causes).toContain('ECONNREFUSED')
})

test('redirects are followed, and the hop costs nothing', async () => {
  await using origin = await api()
  for (let i = 0; i < 5; i++) {
    const response = await ky.get(`${origin.url}/moved`, { fetch: origin.fetch })
    expect([response.redirected, response.url]).toEqual([true, `${origin.url}/items`])
    await response.json()
  }
  expectReused(origin, 2)
})
