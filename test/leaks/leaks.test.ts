/** Bodies nobody ended are reported with the place of their call, and no others. */
import fs from 'node:fs'
import { expect, test } from 'vitest'
import type { Client } from '../../src/index.ts'
import { collectGarbage } from '../../src/garbage.ts'
import { testClient } from '../support/client.ts'
import { untilCollected } from '../support/until.ts'
import { heard, serve } from './support/serve.ts'
import { empty, honest, leaking, type Place } from './support/sites.ts'

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
