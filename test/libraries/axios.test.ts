/** axios with its fetch adapter on a client's fetch, with and without the classes of Node given to it. */
import axios, { AxiosError, type AxiosRequestConfig } from 'axios'
import { expect, test } from 'vitest'
import { api, type Api, expectReused } from './support.ts'
import { refused } from '../support/refused.ts'

const environments: [string, (fetch: Api['fetch']) => AxiosRequestConfig][] = [
  ['fetch alone', (fetch) => ({ adapter: 'fetch', env: { fetch: fetch } }) as AxiosRequestConfig],
  [
    'fetch, Request and Response',
    (fetch) =>
      ({
        adapter: 'fetch',
        env: { fetch: fetch, Request, Response },
      }) as AxiosRequestConfig,
  ],
]

for (const [name, environment] of environments) {
  test(`axios with ${name}: JSON, queries, forms, headers and streams`, async () => {
    await using origin = await api()
    const http = axios.create({ baseURL: origin.url, ...environment(origin.fetch) })
    expect((await http.get('/items', { params: { a: 1 } })).data).toEqual({
      items: [1, 2, 3],
      query: { a: '1' },
    })
    expect((await http.post('/items', { x: 1 })).data).toMatchObject({ method: 'POST', body: '{"x":1}' })
    const form = await http.post<{ type: string; body: string }>('/items', new URLSearchParams({ a: 'b c' }))
    expect(form.data.type).toMatch(/^application\/x-www-form-urlencoded/)
    expect(form.data.body).toBe('a=b+c')
    expect(
      (await http.get<Record<string, string>>('/headers', { headers: { 'x-a': '1' } })).data['x-a'],
    ).toBe('1')
    const { data } = await http.get<ReadableStream<Uint8Array>>('/lines', { responseType: 'stream' })
    let text = ''
    for await (const part of data) text += Buffer.from(part).toString()
    expect(text).toBe('one\ntwo\nthree\n')
    expectReused(origin)
  })

  test(`axios with ${name}: errors carry their data and cost no connection`, async () => {
    await using origin = await api()
    const http = axios.create({ baseURL: origin.url, ...environment(origin.fetch) })
    for (let i = 0; i < 10; i++) {
      const error: unknown = await http.get('/missing').catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(AxiosError)
      expect((error as AxiosError).response?.status).toBe(404)
    }
    expectReused(origin)
  })

  test(`axios with ${name}: timeouts, aborts and network errors`, async () => {
    await using origin = await api()
    const http = axios.create({ baseURL: origin.url, ...environment(origin.fetch) })
    await expect(http.get('/slow', { timeout: 50 })).rejects.toMatchObject({ code: 'ETIMEDOUT' })
    const controller = new AbortController()
    const aborted = http.get('/slow', { signal: controller.signal })
    setTimeout(() => controller.abort(), 20)
    await expect(aborted).rejects.toMatchObject({ code: 'ERR_CANCELED' })
    await expect(http.get((await refused()).url)).rejects.toMatchObject({ code: 'ERR_NETWORK' })
  })
}
