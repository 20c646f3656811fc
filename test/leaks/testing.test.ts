/** drained/testing: a test that leaks a body fails. */
import { execFile } from 'node:child_process'
import { expect, test } from 'vitest'
import { MockAgent } from 'undici'
import { collectGarbage } from '../../src/garbage.ts'
import { createClient } from '../../src/index.ts'
import { expectNoLeaks, failOnLeaks } from '../../src/testing.ts'
import { testClient } from '../support/client.ts'
import { serve } from './support/serve.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

test('a block that leaks fails, and names the call', async () => {
  await using origin = await serve()
  await using client = testClient()
  await expect(
    expectNoLeaks(async () => {
      const { status } = await client.fetch(`${origin.url}/40`)
      expect(status).toBe(200)
    }),
  ).rejects.toMatchObject({
    name: 'BodyLeakedError',
    code: 'ERR_DRAINED_BODY_LEAKED',
    callSite: expect.stringContaining(`${import.meta.filename}:`) as string,
  })
})

test('several leaks are told together', async () => {
  await using origin = await serve()
  await using client = testClient({ connections: 2 })
  const run = async (): Promise<void> => {
    await client.fetch(`${origin.url}/40`)
    await client.fetch(`${origin.url}/3000000`)
  }
  // In whatever order they are found.
  await expect(expectNoLeaks(run)).rejects.toThrow(/^2 bodies were leaked:\n(?=.*\/40 )(?=.*\/3000000 )/s)
})

test('a block that reads, cancels or disposes passes, with its result', async () => {
  await using origin = await serve()
  await using client = testClient({ connections: 2 })
  const result = await expectNoLeaks(async () => {
    await using unread = await client.fetch(`${origin.url}/3000000`)
    expect(unread.ok).toBe(true)
    await (await client.fetch(`${origin.url}/40`)).body?.cancel()
    return (await client.fetch(`${origin.url}/40`)).text()
  })
  expect(result).toHaveLength(40)
})

test('failOnLeaks fails the test that leaks, and not the next', async () => {
  await using origin = await serve()
  await using client = testClient()
  let after = (): Promise<void> => Promise.resolve()
  failOnLeaks({ afterEach: (run) => (after = run) })
  await (async () => void (await client.fetch(`${origin.url}/40`)))()
  await expect(after()).rejects.toThrow('neither read, cancelled nor disposed of')
  await (await client.fetch(`${origin.url}/40`)).text()
  await after()
})

test('failOnLeaks in several files of one process: a leak fails one test, and what came before a file is not its own', async () => {
  await using origin = await serve()
  await using client = testClient()
  const hooks: (() => Promise<void>)[] = []
  const register = (): void => failOnLeaks({ afterEach: (run) => hooks.push(run) })
  const forget = async (): Promise<void> => void (await client.fetch(`${origin.url}/40`))
  register()
  await forget()
  await expect(hooks[0]?.()).rejects.toThrow('neither read, cancelled nor disposed of')
  await forget()
  await collectGarbage()
  register()
  await hooks[1]?.()
  await forget()
  await expect(hooks[1]?.()).rejects.toThrow('neither read, cancelled nor disposed of')
  // Only the newest hears of it: nothing gathers where nobody looks any more.
  await hooks[0]?.()
})

test('MockAgent: a forgotten answer of a mock is found', async () => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  mock
    .get('http://api.example')
    .intercept({ path: '/items' })
    .reply(200, { items: [1, 2, 3] })
    .persist()
  await using client = createClient({ dispatcher: mock, origin: 'http://api.example' })
  await expectNoLeaks(async () => (await client.fetch('/items')).json())
  const forget = async (): Promise<void> => void (await client.fetch('/items'))
  await expect(expectNoLeaks(forget)).rejects.toThrow('GET http://api.example/items (200)')
  await mock.close()
})

test.each(['nock', 'msw'])('%s: a forgotten answer of a mock is found', async (tool) => {
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) =>
    execFile(process.execPath, [`${import.meta.dirname}/support/${tool}.ts`], (_, out, err) =>
      resolve({ stdout: out, stderr: err }),
    ),
  )
  expect(stderr).toBe('')
  expect(stdout).toMatch(
    /^read: \{"items":\[1,2,3\]\}\nforgotten: The body of GET http:\/\/api\.example\/items \(200\), requested at .*\.ts:\d+:\d+/,
  )
})

test.each([['node:test', 'throw.ts', /neither read, cancelled nor disposed of/]])(
  'leaks: throw under %s fails the test that leaks',
  async (_, program, message) => {
    const args = ['--test', `${import.meta.dirname}/support/${program}`]
    // Inside of a run of node:test it would report to that.
    const { NODE_TEST_CONTEXT: _context, ...env } = process.env
    const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) =>
      execFile(process.execPath, args, { env }, (error, out) =>
        resolve({ code: error?.code ?? 0, stdout: out }),
      ),
    )
    expect(code).toBe(1)
    expect(stdout).toMatch(message)
    expect(stdout).toMatch(/pass 1\n/)
    expect(stdout).toMatch(/fail 1\n/)
  },
)
