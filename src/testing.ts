/** drained/testing: a test that leaks a body fails, with the place of the call in the error. For vitest, node:test, jest and their kin. */
import { BodyLeakedError } from './errors.ts'
import type { LeakEvent } from './events.ts'
import { collectGarbage } from './garbage.ts'
import { throwLeaks, watchLeaks } from './leaks.ts'

/** Of all files of a runner that does not isolate them: a list for each would only grow once its tests are over. */
const found: LeakEvent[] = []
const watch = (leak: LeakEvent): void => void found.push(leak)

/** Registers what is to run after each test. */
export type AfterEach = (run: () => Promise<void>) => unknown

/**
 * From now on every test fails after which a body is found that nobody read, cancelled or disposed of, of any client whose `leaks` is
 * not `off`. Collects garbage after each test, which takes some milliseconds; `--expose-gc` is not needed.
 * @param hooks those of the test runner: `failOnLeaks({ afterEach })`
 */
export function failOnLeaks({ afterEach }: { readonly afterEach: AfterEach }): void {
  watchLeaks(watch)
  // What was forgotten before is nobody's here.
  found.length = 0
  afterEach(async () => {
    await collectGarbage()
    fail(found.splice(0))
  })
}

/**
 * Runs `run` and resolves to its result, if it has leaked no body.
 * @throws BodyLeakedError for one leak, an AggregateError of them for several; whatever `run` throws
 */
export async function expectNoLeaks<T>(run: () => T | Promise<T>): Promise<T> {
  // What was forgotten before is not this run's.
  await collectGarbage()
  const found: LeakEvent[] = []
  const stop = watchLeaks((leak) => found.push(leak))
  try {
    const result = await run()
    await collectGarbage()
    fail(found)
    return result
  } finally {
    stop()
  }
}

const fail = (found: readonly LeakEvent[]): void => throwLeaks(found.map((leak) => new BodyLeakedError(leak)))
