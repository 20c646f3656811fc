/** Origins that answer `/ok` as usual, and everything else with the same bytes, in parts. */
import { createOrigin, type Origin } from './origin.ts'
import { serveShapes } from './shapes.ts'
import { until } from './until.ts'

/** One part after another. Where the test depends on what has not come yet, `holds` is the one to use. */
export const sends = (...parts: (string | Buffer)[]): Promise<Origin> =>
  createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return serveShapes(seen, reply)
    for (const part of parts) {
      await reply.write(part)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  })

export interface Gate {
  /** Resolves when the gate is opened for whoever waits. */
  wait(): Promise<void>
  /** Waits for somebody, and lets him through. */
  open(): Promise<void>
}

export function createGate(): Gate {
  const waiting: (() => void)[] = []
  return {
    wait: () => new Promise((resolve) => void waiting.push(resolve)),
    async open() {
      await until(() => waiting.length > 0, 'somebody waits')
      waiting.shift()?.()
    },
  }
}

/** The first part at once, the rest when the test says so: then nothing of it can be there before. */
export async function holds(
  first: string,
  ...rest: (string | Buffer)[]
): Promise<Origin & { release(): Promise<void> }> {
  const gate = createGate()
  const origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return serveShapes(seen, reply)
    await reply.write(first)
    await gate.wait()
    for (const part of rest) await reply.write(part)
  })
  return Object.assign(origin, { release: () => gate.open() })
}
