/** Generated calls, answers and callers: undici's fetch and ours are told apart by nobody, neither server nor caller. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { observe, type RunSpec } from '../support/differential.ts'
import { answerSpec } from '../support/differential/answer.ts'
import { type CallSpec, callSpec, globalCallSpec } from '../support/differential/call.ts'
import { callerSpec } from '../support/differential/caller.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

/** Change them to search elsewhere; a failure prints the seed and the path to its smallest case. */
const seed = Number(process.env['FETCH_SEED'] ?? 20_130_612)
const numRuns = Number(process.env['FETCH_RUNS'] ?? 300)

const withCall = (call: fc.Arbitrary<CallSpec>): fc.Arbitrary<RunSpec> =>
  fc.record({ call, answer: answerSpec, caller: callerSpec })

async function compare(
  lane: 'client' | 'long' | 'globals',
  spec: fc.Arbitrary<RunSpec>,
  runs: number,
): Promise<void> {
  let responses = 0
  const property = fc.asyncProperty(spec, async (each) => {
    const expected = await observe('undici', each)
    if (expected.isResponse) responses++
    expect(await observe(lane, each)).toEqual(expected)
  })
  await fc.assert(property, {
    seed,
    numRuns: runs,
    interruptAfterTimeLimit: 280_000,
    markInterruptAsFailure: true,
  })
  // Most calls must get as far as a response, or this proves little.
  expect(responses).toBeGreaterThan(runs / 3)
}

test('the server and the caller see the same of undici.fetch and client.fetch', async () => {
  await compare('client', withCall(callSpec), numRuns)
}, 300_000)

test('so do they of the long lane, which nobody can tell from the short one', async () => {
  await compare('long', withCall(callSpec), Math.ceil(numRuns / 3))
}, 300_000)

test("a Request and a FormData of Node's are as good as those of undici", async () => {
  await compare('globals', withCall(globalCallSpec), Math.ceil(numRuns / 5))
}, 300_000)
