/** Programs that know nothing of this library, without and with `--import drained/register`: sockets as the server counts them. */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { expect, test, vi } from 'vitest'
import { createOrigin, type Origin } from '../support/origin.ts'
import { refused } from '../support/refused.ts'
import { serveShapes } from '../support/shapes.ts'

// A program starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

const root = path.join(import.meta.dirname, '../..')
const register = path.join(root, 'src/process/register.ts')
const main = path.join(root, 'src/cli/main.ts')
const nodes = { 22: 'node22', 24: 'node', 26: 'node26' }

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const evaluate = (script: string): string[] => ['--input-type=module', '--eval', script]

function run(node: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const file = path.join(root, 'node_modules', node, 'bin/node')
  // Nothing of ours may be in the way of what is tested.
  const env = { PATH: process.env['PATH'], ...environment }
  return new Promise((resolve) => {
    execFile(file, args, { cwd: root, env, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    )
  })
}

/** Connections by client. */
function connectionsOf(origin: Origin): Record<string, number> {
  const used: Record<string, Set<number>> = {}
  for (const { path: target, connection } of origin.seen) {
    const client = new URL(target, origin.url).searchParams.get('client') ?? ''
    ;(used[client] ??= new Set()).add(connection)
  }
  return Object.fromEntries(Object.entries(used).map(([client, { size }]) => [client, size]))
}

const count = 16

for (const [version, node] of Object.entries(nodes)) {
  for (const program of ['module.mjs', 'common.cjs']) {
    const file = path.join(import.meta.dirname, 'programs', program)

    test(`Node ${version}, ${program}: unread answers cost a connection each, and with register next to none`, async () => {
      const sockets: Record<string, number>[] = []
      for (const preload of [[], ['--import', register]]) {
        await using origin = await createOrigin(serveShapes)
        const url = `${origin.url}/404%20with%20256%20KiB`
        const { code, stdout, stderr } = await run(node, [...preload, file, url, String(count)])
        expect(stdout, stderr).toMatch(/answers kept/)
        expect(code, stderr).toBe(0)
        sockets.push(connectionsOf(origin))
      }
      const [without = {}, withIt = {}] = sockets
      expect(Object.keys(without)).toHaveLength(9)
      for (const [client, used] of Object.entries(withIt)) {
        expect(without[client], client).toBe(count)
        // Three at the most, unless the machine is busy: a call made while the last answer is arriving may open one more.
        expect(used, client).toBeLessThanOrEqual(count / 2)
      }
    })
  }
}

test('a pool of 2 is enough for answers of every shape that nobody reads', async () => {
  await using origin = await createOrigin(serveShapes)
  const file = path.join(import.meta.dirname, 'programs/module.mjs')
  const shapes = ['empty chunked, last chunk later', 'one byte', 'chunked', '1 MiB', 'moved']
  const urls = shapes.map((shape) => `${origin.url}/${encodeURIComponent(shape)}`).join(',')
  // Nothing is taken back: without a received body, the third call would wait for ever.
  const environment = { DRAINED_CONNECTIONS: '2', DRAINED_STALL: '2147483647' }
  const { code, stdout, stderr } = await run('node', ['--import', register, file, urls, '4'], environment)
  expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: `${9 * shapes.length * 4} answers kept\n` })
})

for (const [version, node] of Object.entries(nodes)) {
  test(`Node ${version}: bodies without an end that nobody touches do not hang a pool of 4, and the program does not end`, async () => {
    await using origin = await createOrigin(serveShapes)
    const file = path.join(import.meta.dirname, 'programs/module.mjs')
    // Not got and node-fetch: what they have piped on to a stream of their own is being read, as far as anybody can tell.
    const clients = ["Node's fetch", 'undici.fetch', 'undici.request', 'ky', 'axios, http', 'node:http']
    const url = `${origin.url}/endless%20and%20fast`
    const environment = { DRAINED_CONNECTIONS: '4', DRAINED_STALL: '100' }
    const args = ['--import', register, file, url, '6', ...clients]
    const { code, stdout, stderr } = await run(node, args, environment)
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: '36 answers kept\n' })
  })

  test(`Node ${version}: a program that has read its answers ends by itself`, async () => {
    await using origin = await createOrigin(serveShapes)
    const script = `
      import http from 'node:http'
      import { once } from 'node:events'
      console.log(await (await fetch('${origin.url}/ok')).text())
      const [response] = await once(http.get('${origin.url}/ok'), 'response')
      for await (const part of response) console.log(String(part))
      await fetch('${origin.url}/1%20MiB')`
    const started = performance.now()
    const { code, stdout, stderr } = await run(node, ['--import', register, ...evaluate(script)])
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'ok\nok\n', stderr: '' })
    // Idle connections are kept for 30 s, and nothing waits for them.
    expect(performance.now() - started).toBeLessThan(20_000)
  })

  test(`Node ${version}: a limit of connections and our own fetch by environment variables`, async () => {
    await using origin = await createOrigin(serveShapes)
    const script = `
      const all = Array.from({ length: 10 }, () => fetch('${origin.url}/ok').then((response) => response.text()))
      console.log(fetch.name, fetch.length, Symbol.asyncDispose in (await fetch('${origin.url}/ok')), (await Promise.all(all)).join())`
    const environment = { DRAINED_CONNECTIONS: '1', DRAINED_FETCH: 'true' }
    const { stdout, stderr } = await run(node, ['--import', register, ...evaluate(script)], environment)
    expect({ stdout, stderr }).toEqual({
      stdout: `fetch 1 true ${Array(10).fill('ok').join()}\n`,
      stderr: '',
    })
    expect(origin.accepted).toBe(1)
  })

  test(`Node ${version}: where Node is told to use a proxy, it is used`, async () => {
    await using proxy = await createOrigin(serveShapes)
    const script = `
      import http from 'node:http'
      import { once } from 'node:events'
      import { request } from 'undici'
      const url = 'http://nowhere.invalid/ok'
      console.log(await (await fetch(url)).text(), await (await request(url)).body.text())
      const [response] = await once(http.get(url), 'response')
      for await (const part of response) console.log(String(part))`
    const environment = {
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: proxy.url,
      DRAINED_CONNECTIONS: '1',
      NODE_NO_WARNINGS: '1',
    }
    const { stdout, stderr } = await run(node, ['--import', register, ...evaluate(script)], environment)
    expect({ stdout, stderr }).toEqual({ stdout: 'ok ok\nok\n', stderr: '' })
    // One of each.
    expect(proxy.accepted).toBe(2)
  })
}

test('with our own fetch in the place of the global one, a trickle that nobody touches is taken back, too', async () => {
  await using origin = await createOrigin(serveShapes)
  const file = path.join(import.meta.dirname, 'programs/module.mjs')
  const clients = ["Node's fetch", 'ky', 'axios, http', 'node:http']
  const environment = { DRAINED_CONNECTIONS: '2', DRAINED_STALL: '100', DRAINED_FETCH: '1' }
  const args = ['--import', register, file, `${origin.url}/endless%20trickle`, '4', ...clients]
  const { code, stdout, stderr } = await run('node', args, environment)
  expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: '16 answers kept\n' })
})

for (const [how, preload] of Object.entries({
  'node --import drained/register': ['--import', register],
  'drained run --no-report': [main, 'run', '--no-report'],
  'drained run': [main, 'run'],
})) {
  test(`${how}: an install() of the program's own takes the place, in its forks and threads as well`, async () => {
    const file = path.join(import.meta.dirname, 'programs/installs.mjs')
    const { code, stdout, stderr } = await run('node', [...preload, file], { DRAINED_CONNECTIONS: '5' })
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: '3\n3\n3\n' })
  })
}

test('a bad variable ends the program before it starts, and is named', async () => {
  const script = 'console.log("started")'
  const environment = { DRAINED_MEMORY: '64 MiB' }
  const { code, stdout, stderr } = await run('node', ['--import', register, ...evaluate(script)], environment)
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toContain('InvalidOptionError: DRAINED_MEMORY must be a whole number of bytes')
})

test('a global dispatcher set before the library is loaded is a choice, unless it is a plain Agent', async () => {
  await using proxy = await createOrigin(serveShapes)
  const { url } = await refused()
  const script = `
    import { Agent, ProxyAgent, setGlobalDispatcher } from 'undici'
    setGlobalDispatcher(process.argv[1] === 'proxy' ? new ProxyAgent('${proxy.url}') : new Agent())
    const { fetch, install } = await import('${path.join(root, 'src/index.ts')}')
    const answers = [await fetch('${url}/ok').then((r) => r.text(), () => 'none')]
    install()
    answers.push(await globalThis.fetch('${url}/ok').then((r) => r.text(), () => 'none'))
    console.log(answers.join())
    process.exit()`
  expect((await run('node', [...evaluate(script), 'proxy'])).stdout).toBe('ok,ok\n')
  expect((await run('node', [...evaluate(script), 'agent'])).stdout).toBe('none,none\n')
})
