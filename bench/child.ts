/** One client, in a process of its own, doing what it is asked. */
import { answerWith } from './run.ts'
import { allocation } from './tasks/allocation.ts'
import { endless, leak } from './tasks/leak.ts'
import { memory } from './tasks/memory.ts'
import { prepare, rate } from './tasks/rate.ts'
import { retries } from './tasks/retries.ts'
import { timewait } from './tasks/timewait.ts'

const tasks: Record<string, (task: never) => unknown> = {
  allocation,
  endless,
  leak,
  memory,
  prepare,
  rate,
  retries,
  timewait,
}
answerWith((task: { kind: string }) => tasks[task.kind]?.(task as never))
