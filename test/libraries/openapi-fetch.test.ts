/** openapi-fetch, which makes a Request of every call, on a client's fetch. */
import createApi from 'openapi-fetch'
import { expect, test } from 'vitest'
import { api, expectReused } from './support.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

interface Paths {
  '/items': {
    get: {
      parameters: { query?: { a?: string } }
      responses: { 200: { content: { 'application/json': { items: number[] } } } }
    }
    post: {
      parameters: object
      requestBody: { content: { 'application/json': { x: number } } }
      responses: { 201: { content: { 'application/json': { body: string } } } }
    }
  }
  '/missing': {
    get: {
      parameters: object
      responses: {
        200: { content: { 'application/json': object } }
        404: { content: { 'application/json': { error: string } } }
      }
    }
  }
}

test('openapi-fetch reads and sends JSON, and gives errors as data', async () => {
  await using origin = await api()
  const http = createApi<Paths>({ baseUrl: origin.url, fetch: origin.fetch })
  expect((await http.GET('/items', { params: { query: { a: '1' } } })).data).toMatchObject({
    items: [1, 2, 3],
  })
  expect((await http.POST('/items', { body: { x: 1 } })).data?.body).toBe('{"x":1}')
  for (let i = 0; i < 10; i++) expect((await http.GET('/missing')).error?.error).toBe('missing')
  expectReused(origin)
})

test('its middleware may answer with a clone of the response', async () => {
  await using origin = await api()
  const http = createApi<Paths>({ baseUrl: origin.url, fetch: origin.fetch })
  http.use({ onResponse: ({ response }) => new Response(response.body, response) })
  expect((await http.GET('/items')).data).toMatchObject({ items: [1, 2, 3] })
})

test('answers nobody parses cost no connection', async () => {
  await using origin = await api()
  const http = createApi<Paths>({ baseUrl: origin.url, fetch: origin.fetch })
  for (let i = 0; i < 20; i++) {
    const { response } = await http.GET('/items', { parseAs: 'stream' })
    expect(response.status).toBe(200)
  }
  expectReused(origin, 2)
})
