/** A full garbage collection, and the turns it takes until everybody who waits for it has been told. For tests: it takes milliseconds. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect = (globalThis as { gc?: () => void }).gc

function collector(): () => void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  return collect
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Several times: what one collection finds is settled in turns, and may have been the last to refer to more. */
export async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await turn()
    collector()()
    await turn()
    await turn()
  }
}
