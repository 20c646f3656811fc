/** A machine with 100 ports (Linux, root): how many calls until none is left, when no answer is read. */
import { onFewPorts, portCount, whyNot } from '../../test/support/ports/rig.ts'
import type { Section } from '../report.ts'

const each = 2_000
const claim = `${6 * each} unread calls on ${portCount} ports, none fails`

export const ports: Section = async () => {
  const reason = whyNot()
  if (reason !== undefined)
    return { tables: [], verdicts: [{ claim, holds: undefined, figure: reason }], figures: undefined }
  const rows = [['client', 'calls done', 'first failure', 'connections']]
  const figures: Record<string, unknown> = {}
  let verdict = { claim, holds: false, figure: '' }
  for (const client of ['drained', 'undici.fetch', "Node's fetch", 'node:http'] as const) {
    const outcome = await onFewPorts(client, each)
    const { done, failed, firstFailure, accepted } = outcome
    const failure = firstFailure === undefined ? 'none' : `call ${firstFailure.call}, ${firstFailure.code}`
    rows.push([client, String(done), failure, String(accepted)])
    figures[client] = outcome
    if (client === 'drained')
      verdict = { claim, holds: failed === 0 && done === 6 * each, figure: `${done} done, ${failed} failed` }
  }
  const title = `${each} each of GET, PUT, DELETE, list, 404 and abort; no answer read, 4 at once`
  return { tables: [{ title, rows }], verdicts: [verdict], figures }
}
