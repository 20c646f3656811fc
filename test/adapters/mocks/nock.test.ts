/** nock 15 answers on the socket: it is seen by a wrap of the global fetch and by clients of ours alike. */
import nock from 'nock'
import { afterAll, expect, test } from 'vitest'
import { createClient } from '../../../src/index.ts'
import { createOrigin } from '../../support/origin.ts'
import { serveShapes } from '../../support/shapes.ts'
import { lateBound } from './late-bound.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

const origin = 'http://mocked.invalid'
afterAll(() => nock.restore())

const own = createClient({ origin })
for (const [name, fetch] of Object.entries({ ...lateBound, 'a client with a pool': own.fetch })) {
  test(`${name}: is answered by nock, then by the network`, async () => {
    const scope = nock(origin)
      .get('/items')
      .reply(200, { a: 1 }, { 'x-a': '1' })
      .post('/items', 'text')
      .reply(201, 'created')
      .get('/missing')
      .reply(404, 'x'.repeat(300_000))
      .get('/broken')
      .replyWithError(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
    const response = await fetch(`${origin}/items`)
    expect(response.headers.get('x-a')).toBe('1')
    expect(await response.json()).toEqual({ a: 1 })
    expect((await fetch(`${origin}/items`, { method: 'POST', body: 'text' })).status).toBe(201)
    const missing = await fetch(`${origin}/missing`)
    expect(missing.status).toBe(404)
    await missing.body?.cancel()
    await expect(fetch(`${origin}/broken`)).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } })
    expect(scope.isDone()).toBe(true)
    await using real = await createOrigin(serveShapes)
    expect(await (await fetch(`${real.url}/ok`)).text()).toBe('ok')
  })
}
