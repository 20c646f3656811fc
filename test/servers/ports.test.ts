/** The failure of the field on a machine with 100 ports: 12,000 calls whose answers nobody reads. */
import { describe, expect, test } from 'vitest'
import { onFewPorts, portCount } from '../support/ports/rig.ts'
import { needsTool } from '../support/tools.ts'

describe.runIf(needsTool('network namespaces'))(`on a machine with ${portCount} ports`, () => {
  test.each(['undici.fetch', "Node's fetch", 'node:http'] as const)(
    '%s has none left after a hundred unread GETs',
    async (client) => {
      const { done, firstFailure } = await onFewPorts(client)
      expect(firstFailure?.code).toBe('EADDRNOTAVAIL')
      expect(done).toBeLessThanOrEqual(portCount + 10)
    },
  )

  // Some ten seconds, on a machine that has nothing else to do.
  test('drained makes 2,000 calls each of GET, PUT, DELETE, list, 404 and abort', async () => {
    const outcome = await onFewPorts('drained')
    expect(outcome).toMatchObject({ done: 12_000, failed: 0 })
  }, 180_000)
})
