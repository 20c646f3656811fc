/** Whatever can dispatch is a dispatcher, without `compose`: for a client, and for install(), as for one call. */
import { Agent, type Dispatcher, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { expect, test } from 'vitest'
import { createClient, fetch, install } from '../../src/index.ts'
import { createOrigin } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'

/** Of a library that knows nothing of undici's classes. */
function plain(agent: Agent): Dispatcher {
  return { dispatch: agent.dispatch.bind(agent) } as unknown as Dispatcher
}

test('createClient() takes it', async () => {
  await using origin = await createOrigin(serveShapes)
  const agent = new Agent()
  await using client = createClient({ dispatcher: plain(agent) })
  expect(await (await client.fetch(`${origin.url}/ok`)).text()).toBe('ok')
  await agent.close()
})

test('install() builds on it where it is the global dispatcher', async () => {
  await using origin = await createOrigin(serveShapes)
  const before = getGlobalDispatcher()
  const agent = new Agent()
  const chosen = plain(agent)
  try {
    setGlobalDispatcher(chosen)
    const undo = install({ http: false })
    for (const call of [fetch, globalThis.fetch])
      expect(await (await call(`${origin.url}/ok`)).text()).toBe('ok')
    expect(undo.stats()['process']?.bodies.read).toBe(2)
    undo()
    expect(getGlobalDispatcher()).toBe(chosen)
  } finally {
    setGlobalDispatcher(before)
  }
  await agent.close()
})
