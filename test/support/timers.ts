/** Timers that are pending, whoever made them: proof that nothing will happen later, without waiting for it. */
import { vi } from 'vitest'

/** Counts timers of so many milliseconds that have neither fired nor been cleared; what is unreferenced is not seen otherwise. */
export function watchTimers(least: number, most: number): { pending(): number; made(): number } & Disposable {
  const pending = new Set<unknown>()
  let made = 0
  const { setTimeout: set, clearTimeout: clear } = globalThis
  vi.stubGlobal('setTimeout', (callback: () => void, delay: number, ...rest: []) => {
    const timer = set(() => {
      pending.delete(timer)
      callback(...rest)
    }, delay)
    if (delay < least || delay > most) return timer
    made++
    pending.add(timer)
    return timer
  })
  vi.stubGlobal('clearTimeout', (timer: NodeJS.Timeout) => {
    pending.delete(timer)
    clear(timer)
  })
  return { pending: () => pending.size, made: () => made, [Symbol.dispose]: () => void vi.unstubAllGlobals() }
}

/** Names of the warnings Node emits meanwhile, such as of a time too long for a timer, which then fires at once. */
export function watchWarnings(): { names: readonly string[] } & Disposable {
  const names: string[] = []
  const onWarning = ({ name }: Error): void => void names.push(name)
  process.on('warning', onWarning)
  return { names, [Symbol.dispose]: () => void process.off('warning', onWarning) }
}

/** Some turns of the event loop, in which what is due in the end of one, or told in the next, has been. */
export async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
