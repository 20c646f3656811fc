/** Bodies nobody ended are reported with the place of their call, and no others. */
import fs from 'node:fs'
import { expect, test } from 'vitest'
import type { Client, ClientOptions } from '../../src/index.ts'
import { collectGarbage } from '../../src/garbage.ts'
import { testClient } from '../support/client.ts'
import { until, untilCollected } from '../support/until.ts'
import { heard, serve } from './support/serve.ts'
import { empty, honest, keeping, leaking, type Place } from './support/sites.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const places = `${import.meta.dirname}/support/sites.ts`
const source = fs.readFileSync(places, 'utf8').split('\n')

/** Where in the file a call of fetch stands, in a function of that name. */
function lineOf(name: string): number {
  const start = source.findIndex((line) => line.includes(`${name}(`) || line.includes(`const ${name} `))
  return source.findIndex((line, at) => at > start && line.includes('client.fetch(')) + 1
}

async function visit(each: readonly Place[], client: Client, url: string): Promise<void> {
  for (const place of each) await place(client, url)
}

test.each(['all', 'sample'] as const)(
  'three leaking call sites among fifty honest ones are named with file and line, and none of the fifty (%s)',
  async (leaks) => {
    await using origin = await serve()
    await using client = testClient({ leaks, connections: 16 })
    using found = heard('drained:leak')
    expect(honest.length + empty.length).toBe(50)
    for (const place of Object.values(leaking)) {
      await visit([...honest, ...empty], client, origin.url)
      await place(client, origin.url)
    }
    await untilCollected(() => found.length === 3, 'three leaks')
    await collectGarbage()
    expect(new Set(found.map(({ site }) => `${site?.function} ${site?.file} ${site?.line}`))).toEqual(
      new Set(Object.keys(leaking).map((name) => `${name} ${places} ${lineOf(name)}`)),
    )
    for (const { callSite, site, foundBy } of found) {
      expect(callSite).toBe(`${site?.function} (${places}:${site?.line}:${site?.column})`)
      expect(foundBy).toBe('collector')
    }
    const [small] = found.filter(({ site }) => site?.function === 'forgetsSmall')
    expect(small).toMatchObject({ method: 'GET', path: '/40?sig=***', status: 200, count: 1 })
    expect(small).toMatchObject({ received: 40, read: 0, unread: 40, heldConnection: false })
    const [large] = found.filter(({ site }) => site?.function === 'forgetsLarge')
    expect(large).toMatchObject({ read: 0, unread: 3_000_000, heldConnection: true })
    const [half] = found.filter(({ site }) => site?.function === 'leavesHalfway')
    expect(half?.read).toBeGreaterThan(0)
    expect(half?.unread).toBe(3_000_000 - (half?.read ?? 0))
  },
)

test.each(['all', 'sample'] as const)(
  'three call sites that keep a pool too small are named by the reclaim, and none of the fifty (%s)',
  async (leaks) => {
    await using origin = await serve()
    await using client = testClient({ leaks, connections: 2, drain: { stall: 200 } })
    using found = heard('drained:leak')
    for (const place of Object.values(keeping)) {
      await visit([...honest, ...empty].slice(0, 25), client, origin.url)
      await Promise.all([place(client, origin.url), place(client, origin.url)])
      await visit([...honest, ...empty].slice(25), client, origin.url)
    }
    await collectGarbage()
    expect(found.map(({ foundBy }) => foundBy)).toEqual(['reclaim', 'reclaim', 'reclaim'])
    expect(new Set(found.map(({ callSite }) => callSite?.replace(/:\d+\)$/, ')')))).toEqual(
      new Set(Object.keys(keeping).map((name) => `${name} (${places}:${lineOf(name)})`)),
    )
    for (const { heldConnection, read } of found)
      expect({ heldConnection, read }).toEqual({ heldConnection: true, read: 0 })
  },
)

/** Ways a call takes, by what is laid over its client. */
const lanes: Readonly<Record<string, readonly [ClientOptions, RequestInit]>> = {
  'short lane': [{}, {}],
  'undici’s fetch': [{}, { cache: 'no-store' }],
  'with retries': [{ retry: true, timeout: { total: 60_000 } }, {}],
  'with hedging': [{ hedge: { after: 1 } }, {}],
  'a fetch of somebody else’s': [
    {
      fetch: (...args: Parameters<typeof fetch>) => globalThis.fetch(...args),
      connections: undefined as never,
    },
    {},
  ],
}

test.each(Object.entries(lanes))(
  'none of fifty honest places is reported: %s',
  async (_, [options, init]) => {
    await using origin = await serve()
    await using client = testClient({ leaks: 'all', connections: 16, ...options })
    using found = heard('drained:leak')
    const over: Client = {
      ...client,
      fetch: (input, more) => client.fetch(input, { ...init, ...(more as object) }),
    }
    await Promise.all([...honest, ...empty].map((place) => place(over, origin.url)))
    await visit([...honest, ...empty], over, origin.url)
    await collectGarbage()
    await until(() => client.stats().bodies.open === 0, 'everything has ended')
    await collectGarbage()
    expect(found.map(({ callSite, path }) => `${callSite} ${path}`)).toEqual([])
  },
)

test('a body taken back from its origin is named, in the report and in the error of its reader', async () => {
  await using origin = await serve()
  await using client = testClient({ leaks: 'all', drain: { stall: 100 } })
  using found = heard('drained:leak')
  const forgotten = await client.fetch(`${origin.url}/stalls?sv=1&sig=secret`)
  await visit(honest.slice(0, 8), client, origin.url)
  expect([...found]).toMatchObject([
    { foundBy: 'reclaim', path: '/stalls?sv=1&sig=***', received: 10, read: 0, unread: 100 },
  ])
  const [{ callSite } = {}] = found
  expect(callSite).toContain(`${import.meta.filename}:`)
  await expect(forgotten.text()).rejects.toMatchObject({ cause: { name: 'BodyReclaimedError', callSite } })
  await expect(forgotten.text()).rejects.toThrow(TypeError)
})

test('the end of a client finds what nobody came for, and not what was just answered or is being read', async () => {
  await using origin = await serve()
  using found = heard('drained:leak')
  const closing = testClient({ leaks: 'all', drain: { stall: 50 } })
  const forgotten = await closing.fetch(`${origin.url}/stalls`)
  await closing.close()
  expect([...found]).toMatchObject([{ foundBy: 'client', heldConnection: true }])
  await expect(forgotten.text()).rejects.toMatchObject({ cause: { name: 'BodyReclaimedError' } })
  const destroyed = testClient({ leaks: 'all', connections: 2 })
  const fresh = await destroyed.fetch(`${origin.url}/stalls`)
  const read = (await destroyed.fetch(`${origin.url}/stalls`)).text()
  const failed = expect(read).rejects.toThrow()
  await destroyed.destroy()
  await failed
  await expect(fresh.text()).rejects.toThrow()
  expect(found).toHaveLength(1)
})

test('throw: close() rejects with what it finds until it is over, and nothing is thrown where nobody can catch it', async () => {
  await using origin = await serve()
  const client = testClient({ leaks: 'throw', drain: { stall: 300 } })
  const kept = await client.fetch(`${origin.url}/stalls`)
  await expect(client.close()).rejects.toMatchObject({ name: 'BodyLeakedError', foundBy: 'client' })
  await expect(kept.text()).rejects.toMatchObject({ cause: { name: 'BodyReclaimedError' } })
  await client.destroy()
})

test('leaks of one place are told at the first, the tenth and the hundredth', async () => {
  await using origin = await serve()
  await using client = testClient({ leaks: 'all', connections: 4 })
  using found = heard('drained:leak')
  for (let call = 0; call < 105; call++) await client.fetch(`${origin.url}/40`)
  await untilCollected(() => client.stats().bodies.open === 0, 'all are found')
  await collectGarbage()
  expect(found.map(({ count }) => count)).toEqual([1, 10, 100])
})

test('off: nothing is reported', async () => {
  await using origin = await serve()
  await using client = testClient({ leaks: 'off' })
  using found = heard('drained:leak')
  await visit(Object.values(leaking), client, origin.url)
  await untilCollected(() => client.stats().bodies.open === 0, 'given up')
  await collectGarbage()
  expect(found).toHaveLength(0)
})

test('what undici’s own fetch carries is named as well', async () => {
  await using origin = await serve()
  await using client = testClient({ leaks: 'all', connections: 4 })
  using found = heard('drained:leak')
  // `keepalive` aside, an init that only the standard lane takes.
  await (async () =>
    void (await client
      .fetch(`${origin.url}/3000000`, { mode: 'same-origin' })
      .catch(() => client.fetch(`${origin.url}/3000000`, { cache: 'no-store' }))))()
  await untilCollected(() => found.length > 0, 'found')
  expect([...found]).toMatchObject([{ foundBy: 'collector', site: { file: import.meta.filename } }])
})

test('a fetch of somebody else’s: what is forgotten is named', async () => {
  await using origin = await serve()
  await using client = testClient({
    leaks: 'all',
    connections: undefined as never,
    fetch: (...args: Parameters<typeof fetch>) => globalThis.fetch(...args),
  })
  using found = heard('drained:leak')
  await (async () => void (await client.fetch(`${origin.url}/40`)))()
  await untilCollected(() => found.length > 0, 'found')
  expect([...found]).toMatchObject([{ unread: 40, site: { file: import.meta.filename } }])
})

test('a stack that is kept does not keep the Response of whoever made the call', async () => {
  await using origin = await serve()
  await using client = testClient({ leaks: 'all' })
  using found = heard('drained:leak')
  class Job {
    response: Response | undefined
    async run(): Promise<void> {
      this.response = await client.fetch(`${origin.url}/3000000`)
    }
  }
  await new Job().run()
  await untilCollected(() => found.length > 0, 'found')
  expect(found[0]?.site?.function).toBe('Job.run')
})

test('behind retries and default headers the caller is named', async () => {
  await using origin = await serve()
  await using client = testClient({ leaks: 'all', retry: true })
  using found = heard('drained:leak')
  await (async function unread() {
    await client.fetch(`${origin.url}/40`)
  })()
  await untilCollected(() => found.length > 0, 'found')
  expect(found[0]?.site).toMatchObject({ function: 'unread', file: import.meta.filename })
})

test('a redirect that another fetch on the dispatcher has followed is not reported, and other answers are', async () => {
  await using origin = await serve()
  await using client = testClient({ leaks: 'all', connections: 4 })
  using found = heard('drained:leak')
  const init = { dispatcher: client.dispatcher } as object
  for (const path of ['/redirect', '/hop', '/3000000'])
    await (async () => void (await globalThis.fetch(`${origin.url}${path}`, init)))()
  await untilCollected(() => client.stats().bodies.open === 0, 'all are found')
  await collectGarbage()
  expect(found.map(({ path }) => path)).toEqual(['/3000000'])
})
