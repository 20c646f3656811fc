/** What a late-bound wrap owes any version of msw: it is answered by its handlers, and by the network again once it is closed. */
import type { http as Http, HttpResponse as Answer } from 'msw'
import type { SetupServer, setupServer as SetUp } from 'msw/node'
import { beforeAll, expect, test } from 'vitest'
import { createOrigin } from '../../support/origin.ts'
import { refused } from '../../support/refused.ts'
import { serveShapes } from '../../support/shapes.ts'
import { lateBound, url } from './late-bound.ts'

/** @param listen for requests without a handler to go to the network, which has another name in each version */
export function isAnsweredBy(
  http: typeof Http,
  HttpResponse: typeof Answer,
  setupServer: typeof SetUp,
  listen: (server: SetupServer) => void,
): void {
  const large = 'x'.repeat(3_000_000)
  const server = setupServer(
    http.get(url, () => HttpResponse.json({ a: 1 }, { headers: { 'x-a': '1' } })),
    http.post(url, async ({ request }) => HttpResponse.text(`got ${await request.text()}`, { status: 201 })),
    http.get(`${url}/large`, () => HttpResponse.text(large)),
    http.get(`${url}/error`, () => HttpResponse.error()),
  )
  beforeAll(() => listen(server))

  for (const [name, fetch] of Object.entries(lateBound)) {
    test(`${name}: answers, statuses, headers and bodies of a mock`, async () => {
      const response = await fetch(url)
      expect(response).toBeInstanceOf(Response)
      expect(response.headers.get('x-a')).toBe('1')
      expect(await response.json()).toEqual({ a: 1 })
      const created = await fetch(url, { method: 'POST', body: 'text' })
      expect(created.status).toBe(201)
      expect(await created.text()).toBe('got text')
      expect(await (await fetch(new Request(url, { method: 'POST', body: 'r' }))).text()).toBe('got r')
      expect((await (await fetch(`${url}/large`)).text()).length).toBe(large.length)
      await (await fetch(`${url}/large`)).body?.cancel()
      await expect(fetch(`${url}/error`)).rejects.toBeInstanceOf(TypeError)
      const controller = new AbortController()
      const late = await fetch(`${url}/large`, { signal: controller.signal })
      controller.abort()
      await expect(late.text()).rejects.toMatchObject({ name: 'AbortError' })
    })

    test(`${name}: what has no handler goes to the network`, async () => {
      await using origin = await createOrigin(serveShapes)
      expect(await (await fetch(`${origin.url}/ok`)).text()).toBe('ok')
    })
  }

  test('once it is closed, nothing is mocked', async () => {
    const { url } = await refused()
    server.use(http.get(url, () => HttpResponse.text('mocked')))
    for (const fetch of Object.values(lateBound)) expect(await (await fetch(url)).text()).toBe('mocked')
    server.close()
    for (const fetch of Object.values(lateBound)) await expect(fetch(url)).rejects.toThrow('fetch failed')
  })
}
