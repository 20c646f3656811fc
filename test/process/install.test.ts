/** install() in one process: what it puts on drained, what it leaves alone, and what undo brings back. */
import { afterEach, expect, test, vi } from 'vitest'
import * as undici from 'undici'
import { createClient, fetch, install, type InstallOptions } from '../../src/index.ts'
import { createOrigin, type Origin } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const legacyKey = Symbol.for('undici.globalDispatcher.1')
const slots = globalThis as unknown as Record<symbol, undici.Dispatcher | undefined>
const before = { fetch: globalThis.fetch, dispatcher: undici.getGlobalDispatcher(), legacy: slots[legacyKey] }

afterEach(() => {
  install()()
  vi.unstubAllGlobals()
  expect(globalThis.fetch).toBe(before.fetch)
  expect(undici.getGlobalDispatcher()).toBe(before.dispatcher)
  expect(slots[legacyKey]).toBe(before.legacy)
})

const shapes = (): Promise<Origin> => createOrigin(serveShapes)
const counted = (undo = install()) => undo.stats()['process']?.bodies.read

/** Each through the global dispatcher, in its own way. */
const callers: Record<string, (url: string) => Promise<string>> = {
  "Node's fetch": async (url) => (await globalThis.fetch(url)).text(),
  'undici.fetch': async (url) => (await undici.fetch(url)).text(),
  'undici.request': async (url) => (await undici.request(url)).body.text(),
  'the default fetch of this library': async (url) => (await fetch(url)).text(),
}

for (const [name, call] of Object.entries(callers)) {
  test(`${name} is on the client of the process, once, until undo`, async () => {
    await using origin = await shapes()
    const undo = install()
    expect(await call(`${origin.url}/ok`)).toBe('ok')
    await until(() => counted(undo) === 1, 'counted')
    expect(undo.stats()['process']?.sockets.opened).toBe(1)
    undo()
    expect(await call(`${origin.url}/ok`)).toBe('ok')
    expect(counted(undo)).toBe(1)
  })

  test(`${name}: answers that nobody reads cost no connection each`, async () => {
    await using origin = await shapes()
    using undo = install()
    const kept: unknown[] = []
    // Those of all four tests together fit in the memory of the process: garbage is collected when it likes.
    for (let i = 0; i < 12; i++) {
      const response =
        name === 'undici.request' ? undici.request : name.startsWith('undici') ? undici.fetch : undefined
      kept.push(
        await (response ?? (name.startsWith('Node') ? globalThis.fetch : fetch))(`${origin.url}/1%20MiB`),
      )
    }
    await until(() => undo.stats()['process']?.requests.inFlight === 0, 'received')
    // A call made while the last answer is still arriving may open one more.
    expect(origin.accepted).toBeLessThanOrEqual(8)
    expect(kept).toHaveLength(12)
  })
}

test('installed twice is installed once: both undo the same, as often as they like', () => {
  const options: InstallOptions = { connections: 3, drain: { maxTime: 100 } }
  const first = install(options)
  const installed = undici.getGlobalDispatcher()
  expect(install()).toBe(first)
  expect(install({ connections: 3, drain: { maxTime: 100 } })).toBe(first)
  expect(() => install({ connections: 4 })).toThrow(/called before with other options/)
  expect(undici.getGlobalDispatcher()).toBe(installed)
  first()
  first()
  expect(undici.getGlobalDispatcher()).toBe(before.dispatcher)
  const again = install({ connections: 4 })
  expect(again).not.toBe(first)
  // Of something that is gone already: it must not undo what was installed since.
  first()
  expect(undici.getGlobalDispatcher()).not.toBe(before.dispatcher)
  again()
})

test('a limit of connections holds for the whole process', async () => {
  await using origin = await shapes()
  using undo = install({ connections: 1 })
  await Promise.all([
    ...Array.from({ length: 5 }, () =>
      globalThis.fetch(`${origin.url}/ok`).then((response) => response.text()),
    ),
    ...Array.from({ length: 5 }, () => fetch(`${origin.url}/ok`).then((response) => response.text())),
  ])
  expect(origin.accepted).toBe(1)
  expect(undo.stats()['process']?.sockets.opened).toBe(1)
})

test('a global dispatcher that somebody has chosen has the contract, and is put back', async () => {
  await using origin = await shapes()
  const seen: string[] = []
  const chosen = new undici.Agent({ connections: 2 }).compose((dispatch) => (opts, handler) => {
    seen.push(opts.path)
    return dispatch(opts, handler)
  })
  undici.setGlobalDispatcher(chosen)
  try {
    expect(() => install({ connections: 1 })).toThrow(
      /connections cannot be combined with the global dispatcher/,
    )
    const undo = install({ drain: { maxTime: 100 } })
    const kept: unknown[] = []
    for (let i = 0; i < 5; i++) kept.push(await globalThis.fetch(`${origin.url}/404%20with%20256%20KiB`))
    kept.push(await fetch(`${origin.url}/ok`))
    await until(() => undo.stats()['process']?.requests.inFlight === 0, 'received')
    expect(seen).toHaveLength(6)
    expect(origin.accepted).toBeLessThanOrEqual(2)
    undo()
    expect(undici.getGlobalDispatcher()).toBe(chosen)
  } finally {
    undici.setGlobalDispatcher(before.dispatcher)
    slots[legacyKey] = before.legacy
    await chosen.close()
  }
})

test('a dispatcher set later, a MockAgent say, takes over and is left alone by undo', async () => {
  const undo = install()
  const installed = undici.getGlobalDispatcher()
  const mock = new undici.MockAgent()
  mock.disableNetConnect()
  undici.setGlobalDispatcher(mock)
  const pool = mock.get('http://mocked.invalid')
  pool.intercept({ path: '/' }).reply(200, 'mock').times(2)
  try {
    for (const call of [globalThis.fetch, fetch])
      expect(await (await call('http://mocked.invalid/')).text()).toBe('mock')
    undo()
    expect(undici.getGlobalDispatcher()).toBe(mock)
    // As a test does that has remembered what was there: it works on.
    undici.setGlobalDispatcher(installed)
    await using origin = await shapes()
    expect(await (await globalThis.fetch(`${origin.url}/ok`)).text()).toBe('ok')
  } finally {
    undici.setGlobalDispatcher(before.dispatcher)
    slots[legacyKey] = before.legacy
    await mock.close()
  }
})

test('a MockAgent set before answers through it', async () => {
  const mock = new undici.MockAgent()
  mock.disableNetConnect()
  undici.setGlobalDispatcher(mock)
  mock.get('http://mocked.invalid').intercept({ path: '/' }).reply(200, 'mock').times(2)
  const undo = install()
  try {
    for (const call of [globalThis.fetch, fetch])
      expect(await (await call('http://mocked.invalid/')).text()).toBe('mock')
    undo()
    expect(undici.getGlobalDispatcher()).toBe(mock)
  } finally {
    undici.setGlobalDispatcher(before.dispatcher)
    slots[legacyKey] = before.legacy
    await mock.close()
  }
})

test('what an older undici has set in the slot it shares with Node stays', () => {
  const theirs = { dispatch: () => true } as unknown as undici.Dispatcher
  slots[legacyKey] = theirs
  const undo = install()
  expect(slots[legacyKey]).toBe(theirs)
  undo()
  expect(slots[legacyKey]).toBe(theirs)
  slots[legacyKey] = before.legacy
})

test('who passes a dispatcher, or has a client, keeps it', async () => {
  await using origin = await shapes()
  await using client = createClient()
  const agent = new undici.Agent()
  using undo = install()
  await (await client.fetch(`${origin.url}/ok`)).text()
  await (await undici.request(`${origin.url}/ok`, { dispatcher: agent })).body.text()
  expect(undo.stats()['process']?.sockets.opened).toBe(0)
  await agent.close()
})

test('fetch: true puts our fetch in the place of the global one, with its name, length and whatever hangs on it', async () => {
  await using origin = await shapes()
  const original = Object.getOwnPropertyDescriptor(globalThis, 'fetch')
  const preconnect = vi.fn()
  Object.assign(globalThis.fetch, { preconnect })
  try {
    using undo = install({ fetch: true })
    expect(globalThis.fetch).not.toBe(before.fetch)
    expect(globalThis.fetch.name).toBe('fetch')
    expect(globalThis.fetch.length).toBe(before.fetch.length)
    expect(globalThis.fetch).toHaveProperty('preconnect', preconnect)
    const now = Object.getOwnPropertyDescriptor(globalThis, 'fetch')
    expect({ ...now, value: undefined }).toEqual({ ...original, value: undefined })
    const response = await globalThis.fetch(`${origin.url}/ok`)
    expect(Symbol.asyncDispose in response).toBe(true)
    expect(await response.text()).toBe('ok')
    await until(() => counted(undo) === 1, 'counted')
  } finally {
    delete (globalThis.fetch as { preconnect?: unknown }).preconnect
  }
})

test('a fetch put in our place later is left alone by undo', () => {
  const undo = install({ fetch: true })
  const stub = vi.fn()
  vi.stubGlobal('fetch', stub)
  undo()
  expect(globalThis.fetch).toBe(stub)
  vi.unstubAllGlobals()
  globalThis.fetch = before.fetch
})

test.each([
  [{ conections: 1 }, /Unknown option conections: did you mean connections/],
  [{ timeout: { total: 1 } }, /Unknown option timeout/],
  [{ fetch: 1 }, /fetch must be true or false, got 1/],
  [{ http: 'no' }, /http must be true or false/],
  [{ drain: { stal: 1 } }, /did you mean drain\.stall/],
])('%o is refused, and nothing is installed', (options, message) => {
  expect(() => install(options as InstallOptions)).toThrow(message)
  expect(undici.getGlobalDispatcher()).toBe(before.dispatcher)
})
