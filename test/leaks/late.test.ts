/** A leak that begins when a client has long been busy is named all the same. */
import { expect, test } from 'vitest'
import { collectGarbage } from '../../src/garbage.ts'
import type { Client } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { heard, serve } from './support/serve.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

/** Calls of others that are read, between one leak and the next: more than are traced of them. */
const others = 640

async function busy(client: Client, url: string): Promise<void> {
  for (let call = 0; call < others; call += 32)
    await Promise.all(Array.from({ length: 32 }, async () => (await client.fetch(`${url}/2/other`)).text()))
}

/** Paths a call may have, and how it may be written down. */
const inputs: Readonly<Record<string, (url: string, id: number) => string | URL | Request>> = {
  'a string': (url, id) => `${url}/40/items/${id}?sig=a`,
  'a relative one': (_, id) => `/40/items/${id}#part`,
  'a URL': (url, id) => new URL(`${url}/40/items/${id}`),
  'a Request': (url, id) => new Request(`${url}/40/items/${id}`),
}

test.each(Object.entries(inputs))(
  'a leak that repeats is named within its first dozen, long after the first calls (%s)',
  async (_, inputOf) => {
    await using origin = await serve()
    await using client = testClient({ leaks: 'sample', connections: 8, origin: origin.url })
    using found = heard('drained:leak')
    const forgets = async (id: number): Promise<void> => void (await client.fetch(inputOf(origin.url, id)))
    await busy(client, origin.url)
    let occurrences = 0
    while (occurrences < 12 && !found.some(({ site }) => site !== undefined)) {
      await busy(client, origin.url)
      await forgets(occurrences++)
      await collectGarbage()
    }
    const named = found.find(({ site }) => site !== undefined)
    expect(named).toMatchObject({ foundBy: 'collector', site: { file: import.meta.filename } })
    expect(named?.callSite).toMatch(/^forgets \(/)
  },
)
