/** Bodies a test file forgets: none that is reported as a leak, unless it says that it does so on purpose. */
import diagnostics from 'node:diagnostics_channel'
import { collectGarbage } from '../../src/garbage.ts'
import type { LeakEvent } from '../../src/events.ts'

const found: string[] = []
let isOnPurpose = false

diagnostics.subscribe('drained:leak', (message) => {
  const { method, origin, path, foundBy, callSite } = message as LeakEvent
  // What the end of a client finds depends on how long the test took.
  if (foundBy !== 'client') found.push(`${method} ${origin}${path}, found by the ${foundBy}: ${callSite}`)
})

/** For files whose tests leave bodies unread. */
export function forgetsBodies(): void {
  isOnPurpose = true
}

/** What this file has forgotten so far. */
export async function forgotten(): Promise<string[]> {
  if (isOnPurpose) return []
  await collectGarbage()
  return found
}
