/** Once nobody waits for a body that nobody touched, a process does not live on until `drain.stall` is over. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { createOrigin } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'

const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)

/** @throws if the program has not ended long before its `stall` is over */
async function run(options: string, source: string): Promise<unknown> {
  const program = `
    import { Agent } from 'undici'
    import { createClient } from ${url('../../src/index.ts')}
    const client = createClient({ drain: { stall: 600_000 }, ${options} })
    ${source}
    process.exitCode = 7`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore' })
  try {
    return ((await once(child, 'exit', { signal: AbortSignal.timeout(60_000) })) as unknown[])[0]
  } finally {
    child.kill('SIGKILL')
  }
}

const endings: Record<string, readonly [options: string, source: string]> = {
  'has been read since close() began': [
    '',
    `const closing = client.close()
    // Until the timer is set that takes it back.
    await new Promise(setImmediate)
    await response.text()
    await closing`,
  ],
  'was ended by destroy() after close()': [
    '',
    `const closing = client.close()
    await new Promise(setImmediate)
    await client.destroy()
    await closing`,
  ],
  'is on a dispatcher of the user, which close() does not wait for': [
    'dispatcher: new Agent()',
    'await client.close()',
  ],
  'kept its connection from a call that has been aborted': [
    'connections: 1',
    `const controller = new AbortController()
    const late = client.fetch(url, { signal: controller.signal }).catch(() => {})
    await new Promise(setImmediate)
    controller.abort()
    await late`,
  ],
}

for (const [what, [options, source]] of Object.entries(endings)) {
  test(`a process ends although a body that nobody had touched ${what}`, { timeout: 70_000 }, async () => {
    await using origin = await createOrigin(serveShapes)
    const begin = `const url = '${origin.url}/64%20MiB'
    const response = await client.fetch(url)
    // Until it is known that nobody has touched it.
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    `
    expect(await run(options, begin + source)).toBe(7)
  })
}
