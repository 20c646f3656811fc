/** MockAgent as global dispatcher, and functions put in the place of the global fetch. */
import * as undici from 'undici'
import { afterEach, expect, test, vi } from 'vitest'
import { createOrigin } from '../../support/origin.ts'
import { serveShapes } from '../../support/shapes.ts'
import { lateBound, url } from './late-bound.ts'

afterEach(() => vi.unstubAllGlobals())

for (const [name, fetch] of Object.entries(lateBound)) {
  test(`${name}: a MockAgent set as global dispatcher answers`, async () => {
    const before = undici.getGlobalDispatcher()
    const mock = new undici.MockAgent()
    mock.disableNetConnect()
    undici.setGlobalDispatcher(mock)
    mock.get('http://mocked.invalid').intercept({ path: '/items', method: 'GET' }).reply(200, { a: 1 })
    try {
      expect(await (await fetch(url)).json()).toEqual({ a: 1 })
      mock.assertNoPendingInterceptors()
    } finally {
      undici.setGlobalDispatcher(before)
      await mock.close()
    }
  })

  test(`${name}: a stub of the global fetch answers, and nothing once it is gone`, async () => {
    const stub = vi.fn((input: string) => Promise.resolve(Response.json({ input })))
    vi.stubGlobal('fetch', stub)
    expect(await (await fetch(url)).json()).toEqual({ input: url })
    expect(stub.mock.calls).toEqual([[url]])
    vi.unstubAllGlobals()
    await using origin = await createOrigin(serveShapes)
    expect(await (await fetch(`${origin.url}/ok`)).text()).toBe('ok')
    expect(stub).toHaveBeenCalledOnce()
  })
}
