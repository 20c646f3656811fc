/** wretch on a client's fetch. */
import { expect, test } from 'vitest'
import wretch from 'wretch'
import { retry } from 'wretch/middlewares'
import { api, expectReused } from './support.ts'
import { refused } from '../support/refused.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

test('wretch reads and sends JSON, and its catchers get the error with its body', async () => {
  await using origin = await api()
  const http = wretch(origin.url).fetchPolyfill(origin.fetch)
  expect(await http.get('/items').json()).toMatchObject({ items: [1, 2, 3] })
  expect(await http.url('/items').post({ x: 1 }).json()).toMatchObject({ body: '{"x":1}' })
  expect(await http.get('/text').text()).toBe('plain')
  for (let i = 0; i < 10; i++) {
    const outcome = await http
      .get('/missing')
      .notFound((error) => error.status)
      .json()
    expect(outcome).toBe(404)
  }
  expectReused(origin)
})

test('answers that its retry middleware throws away cost no connection', async () => {
  await using origin = await api()
  const http = wretch(origin.url)
    .fetchPolyfill(origin.fetch)
    .middlewares([retry({ delayTimer: 1, maxAttempts: 4, until: (response) => response?.ok === true })])
  for (let i = 0; i < 5; i++) expect(await http.get(`/flaky?${i}`).json()).toEqual({ attempts: 3 })
  expectReused(origin, 2)
})

test('an abort and a refused connection keep fetch’s shape', async () => {
  await using origin = await api()
  const controller = new AbortController()
  const http = wretch(origin.url).fetchPolyfill(origin.fetch)
  const aborted = http.options({ signal: controller.signal }).get('/slow').res()
  setTimeout(() => controller.abort(), 20)
  await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
  await expect(
    wretch((await refused()).url)
      .fetchPolyfill(origin.fetch)
      .get('/')
      .res(),
  ).rejects.toMatchObject({ name: 'TypeError', cause: { code: 'ECONNREFUSED' } })
})
