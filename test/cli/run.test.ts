/** `drained run`: a program that knows nothing of it runs as ever, and its connections, bodies and leaks are reported. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { parseRun, refuseUnwritable } from '../../src/cli/run.ts'
import { createOrigin } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'
import { folder, program, reportIn, run, runPlain, start } from './programs.ts'

// A program starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 })
afterAll(() => fs.rmSync(folder, { recursive: true }))

const calls = program(
  'calls.mjs',
  `import http from 'node:http'
const [url, end] = process.argv.slice(2)
for (let i = 0; i < 8; i++) await (await fetch(url + '/one%20byte')).text()
for (let i = 0; i < 4; i++) await (await fetch(url + '/404%20with%20256%20KiB?sig=hunter2')).body.cancel()
for (let i = 0; i < 3; i++) await new Promise((done) => http.get(url + '/one%20byte', (m) => m.resume().once('end', done)))
if (end === 'exit') process.exit(7)
if (end === 'throw') throw new Error('nobody catches this')
if (end === 'wait') { setInterval(() => {}, 1000); console.log('ready') }`,
)

test('connections and bodies of fetch and node:http are counted as the server counts them', async () => {
  await using origin = await createOrigin(serveShapes)
  const { code, stderr } = await run(['--json', calls, origin.url])
  expect(code, stderr).toBe(0)
  const { total, origins, ended, samples } = reportIn(stderr)
  expect(ended).toBe('exit code 0')
  expect(origins.map(({ client }) => client).toSorted()).toEqual(['http', 'process'])
  expect(total.sockets.opened).toBe(origin.accepted)
  expect(total.requests).toBe(origin.seen.length)
  expect(total.sockets.opened + total.sockets.reused).toBe(15)
  expect(total.waits.count).toBe(15)
  expect(total.bodies.read.complete).toBe(11)
  expect((total.bodies.drained.ended ?? 0) + (total.bodies.drained.received ?? 0)).toBe(4)
  expect(samples.at(-1)?.sockets).toBeGreaterThan(0)
  expect(stderr).not.toContain('hunter2')
})

for (const [end, code] of [
  ['exit', 7],
  ['throw', 1],
] as const) {
  test(`a program that ends by ${end} is reported, and its exit code is ${code}`, async () => {
    await using origin = await createOrigin(serveShapes)
    const ran = await run([calls, origin.url, end])
    expect(ran.code).toBe(code)
    expect(ran.stderr).toContain(`exit code ${code}`)
    expect(ran.stderr).toMatch(/15 requests on \d connections?: 1\d reused one/)
    if (end === 'throw') expect(ran.stderr).toContain('nobody catches this')
  })
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`a program that does not listen to ${signal} ends by it, and is reported`, async () => {
    await using origin = await createOrigin(serveShapes)
    const running = start([calls, origin.url, 'wait'])
    await until(() => running.stdout().includes('ready'), 'the program is ready', 30_000)
    running.child.kill(signal)
    const { code, signal: by, stderr } = await running.ended
    expect({ code, by }).toEqual({ code: null, by: signal })
    expect(stderr).toContain(`, ${signal} (pid ${running.child.pid}`)
  })
}

test('SIGUSR2 reports, and the program goes on', async () => {
  await using origin = await createOrigin(serveShapes)
  const page = path.join(folder, 'running.html')
  const running = start(['--html', page, calls, origin.url, 'wait'])
  await until(() => running.stdout().includes('ready'), 'the program is ready', 30_000)
  running.child.kill('SIGUSR2')
  await until(() => running.stderr().includes('page: '), 'a report', 30_000)
  expect(running.stderr()).toContain(', running (pid')
  expect(fs.readFileSync(page, 'utf8')).toContain('running after')
  running.child.kill('SIGTERM')
  expect((await running.ended).signal).toBe('SIGTERM')
  expect(fs.readFileSync(page, 'utf8')).toContain('SIGTERM after')
})

test('a program that listens to a signal decides itself, and is reported once when it ends', async () => {
  const file = program(
    'graceful.mjs',
    `process.once('SIGTERM', () => setTimeout(() => { console.log('closed'); process.exit(5) }, 20))
setInterval(() => {}, 1000); console.log('ready')`,
  )
  const running = start([file])
  await until(() => running.stdout().includes('ready'), 'the program is ready', 30_000)
  running.child.kill('SIGTERM')
  const { code, stdout, stderr } = await running.ended
  expect({ code, stdout }).toEqual({ code: 5, stdout: 'ready\nclosed\n' })
  expect(stderr.match(/drained: /g)).toHaveLength(1)
})

test('a program that ends itself if nobody else listens to a signal finds nobody, and is reported', async () => {
  const file = program(
    'alone.mjs',
    `const onSignal = () => {
  if (process.listeners('SIGTERM').length !== 1 || process.listenerCount('SIGTERM') !== 1) return
  process.removeListener('SIGTERM', onSignal)
  process.kill(process.pid, 'SIGTERM')
}
process.on('SIGTERM', onSignal)
setInterval(() => {}, 1000); console.log('ready')`,
  )
  const running = start([file])
  await until(() => running.stdout().includes('ready'), 'the program is ready', 30_000)
  running.child.kill('SIGTERM')
  const { signal, stderr } = await running.ended
  expect(signal).toBe('SIGTERM')
  expect(stderr).toContain(', SIGTERM (pid')
})

test('arguments, standard streams and the process are those of the program', async () => {
  const file = program(
    'streams.mjs',
    `let text = ''
for await (const chunk of process.stdin) text += chunk
console.log(JSON.stringify({ text, args: process.argv.slice(2), pid: process.pid, own: Object.keys(process.env).filter((n) => /drained/i.test(n)) }))`,
  )
  const running = start(['--no-report', file, '--json', '--help', '-x', ''], 'from outside')
  const { code, stdout, stderr } = await running.ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual({
    text: 'from outside',
    args: ['--json', '--help', '-x', ''],
    pid: running.child.pid,
    own: [],
  })
})

test('what a program prints is the same with and without it', async () => {
  const file = program('prints.cjs', `console.log('out'); console.error('err'); process.exitCode = 9`)
  expect(await run(['--no-report', file])).toEqual(await runPlain([file]))
})

test('forks and threads of a program are not reported in its place', async () => {
  const file = program(
    'parent.cjs',
    `const { fork } = require('node:child_process'); const { Worker } = require('node:worker_threads')
if (process.argv[2] === 'child') process.exit(0)
fork(__filename, ['child']).once('exit', () => new Worker('process.exit(0)', { eval: true }))`,
  )
  const { code, stderr } = await run([file])
  expect(code, stderr).toBe(0)
  expect(stderr.match(/drained: /g)).toHaveLength(1)
})

test.each([
  ['Node cannot', 'process.execve=undefined'],
  // Where it is there, and throws.
  ['Windows cannot', `Object.defineProperty(process,'platform',{value:'win32'});process.execve=()=>missing`],
  ['IBM i cannot', `Object.defineProperty(process,'platform',{value:'os400'});process.execve=()=>missing`],
])(
  'where %s become another process, the program is a child: its exit code and its signals are passed on',
  async (_, code) => {
    await using origin = await createOrigin(serveShapes)
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${code}` }
    const ran = await run([calls, origin.url, 'exit'], '', env)
    expect(ran.code, ran.stderr).toBe(7)
    expect(ran.stderr.match(/15 requests on/g)).toHaveLength(1)
    const running = start([calls, origin.url, 'wait'], '', env)
    await until(() => running.stdout().includes('ready'), 'the program is ready', 30_000)
    running.child.kill('SIGTERM')
    const ended = await running.ended
    expect(ended.signal).toBe('SIGTERM')
    expect(ended.stderr).toContain(', SIGTERM (pid')
  },
)

test('on Windows the console tells the program itself that it is closed: it is not told twice', async () => {
  await using origin = await createOrigin(serveShapes)
  const windows = `Object.defineProperty(process,'platform',{value:'win32'})`
  const running = start([calls, origin.url, 'wait'], '', {
    NODE_OPTIONS: `--import=data:text/javascript,${windows}`,
  })
  await until(() => running.stdout().includes('ready'), 'the program is ready', 30_000)
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) running.child.kill(signal)
  const { signal, stderr } = await running.ended
  expect(signal).toBe('SIGTERM')
  expect(stderr).toContain(', SIGTERM (pid')
})

test('a program with a client of its own is counted under its name', async () => {
  await using origin = await createOrigin(serveShapes)
  const index = path.join(import.meta.dirname, '../../src/index.ts')
  const file = program(
    'client.mjs',
    `import { createClient } from '${index}'
const client = createClient({ name: 'orders', origin: '${origin.url}' })
for (let i = 0; i < 5; i++) await (await client.fetch('/one%20byte')).text()
await client.close()`,
  )
  const { origins, total } = reportIn((await run(['--json', file])).stderr)
  expect(origins).toMatchObject([{ client: 'orders', origin: origin.url, requests: 5 }])
  expect(total.sockets).toMatchObject({ opened: origin.accepted, reused: 4 })
})

test('a body that a program forgets is reported with its line of source', async () => {
  await using origin = await createOrigin(serveShapes)
  const file = program(
    'forgets.mjs',
    `import diagnostics from 'node:diagnostics_channel'
let isKnown = false
diagnostics.subscribe('drained:leak', ({ callSite }) => { isKnown ||= callSite !== undefined })
async function forget(url) {
  const answer = await fetch(url) // forgotten here, with a token = 'hunter2'
  return answer.status
}
for (let i = 0; i < 300 && !isKnown; i++) {
  await forget(process.argv[2])
  globalThis.gc()
  await new Promise((resolve) => setTimeout(resolve, 2))
}`,
  )
  // Node's own fetch does not show us its Response; with DRAINED_FETCH it is ours.
  const env = { DRAINED_FETCH: 'true', NODE_OPTIONS: '--expose-gc' }
  const { stderr } = await run(['--json', file, `${origin.url}/404%20with%20256%20KiB`], '', env)
  const { leaks } = reportIn(stderr)
  const here = leaks.find(({ callSite }) => callSite !== undefined)
  expect(here?.callSite, JSON.stringify(leaks)).toMatch(/forget \(.*forgets\.mjs:5:\d+\)/)
  expect(here?.source).toBe("const answer = await fetch(url) // forgotten here, with a token = '***'")
})

test('every call is traced, unless DRAINED_LEAKS says otherwise, also where the program installs the same itself', async () => {
  await using origin = await createOrigin(serveShapes)
  const register = path.join(import.meta.dirname, '../../src/process/register.ts')
  const file = program(
    'late.mjs',
    `import '${register}'
import diagnostics from 'node:diagnostics_channel'
const [url, looks] = process.argv.slice(2)
let isFound = false
diagnostics.subscribe('drained:leak', () => (isFound = true))
// Far more than a sample has.
for (let i = 0; i < 600; i++) await (await fetch(url + '/one%20byte')).text()
await (async () => void (await fetch(url + '/404%20with%20256%20KiB')).status)()
for (let i = 0; i < looks && !isFound; i++) {
  globalThis.gc()
  await new Promise((resolve) => setTimeout(resolve, 2))
}`,
  )
  const env = { DRAINED_FETCH: '1', DRAINED_CONNECTIONS: '2', NODE_OPTIONS: '--expose-gc' }
  const all = await run(['--json', file, origin.url, '500'], '', env)
  expect(all.code, all.stderr).toBe(0)
  expect(reportIn(all.stderr).leaks).toMatchObject([
    { count: 1, callSite: expect.stringMatching(/late\.mjs:8:/) },
  ])
  const off = await run(['--json', file, origin.url, '20'], '', { ...env, DRAINED_LEAKS: 'off' })
  expect(reportIn(off.stderr)).toMatchObject({ leaks: [], hasNodeFetch: false })
})

test('a program that installs with options of its own has them, and is reported', async () => {
  await using origin = await createOrigin(serveShapes)
  const index = path.join(import.meta.dirname, '../../src/index.ts')
  const file = program(
    'installs.mjs',
    `import { install } from '${index}'
install({ connections: 1, fetch: true })
const url = process.argv[2] + '/one%20byte'
await Promise.all(Array.from({ length: 6 }, async () => (await fetch(url)).text()))
try { install({ connections: 2 }) } catch ({ option }) { console.log(option) }`,
  )
  const env = { DRAINED_CONNECTIONS: '3' }
  const { code, stdout, stderr } = await run(['--json', file, origin.url], '', env)
  expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: 'options\n' })
  const { total, hasNodeFetch } = reportIn(stderr)
  expect({ requests: total.requests, opened: total.sockets.opened, hasNodeFetch }).toEqual({
    requests: 6,
    opened: 1,
    hasNodeFetch: false,
  })
})

test("where fetch is Node's own, the report says how to learn who called it", async () => {
  await using origin = await createOrigin(serveShapes)
  const file = program(
    'hidden.mjs',
    `import diagnostics from 'node:diagnostics_channel'
let isFound = false
diagnostics.subscribe('drained:leak', () => (isFound = true))
for (let i = 0; i < 500 && !isFound; i++) {
  await (async () => void (await fetch(process.argv[2])).status)()
  globalThis.gc()
  await new Promise((resolve) => setTimeout(resolve, 2))
}`,
  )
  const { stderr } = await run([file, `${origin.url}/404%20with%20256%20KiB`], '', {
    NODE_OPTIONS: '--expose-gc',
  })
  expect(stderr).toContain('! At least 1 body was forgotten, at call sites not captured: read')
  expect(stderr).toContain("DRAINED_FETCH=true puts drained's fetch in its place")
})

test('a program that makes no request is reported in two lines', async () => {
  const { stderr } = await run([program('idle.mjs', '')])
  expect(stderr.trim().split('\n')).toHaveLength(2)
})

test('a page that cannot be written is said, and changes nothing else', async () => {
  const page = path.join(folder, 'gone', 'page.html')
  fs.mkdirSync(path.dirname(page))
  const file = program(
    'removes.cjs',
    `require('node:fs').rmSync('${path.dirname(page)}', { recursive: true })`,
  )
  const { code, stderr } = await run(['--html', page, file])
  expect(code).toBe(0)
  expect(stderr).toContain('drained: no page: ENOENT')
})

test.each([
  [['--htlm', 'x', 'app.js'], '--htlm is not an option; accepted are --html, --json, --no-report'],
  [[], 'drained run needs a program'],
  [['--json', '--no-report', 'app.js'], '--json and --no-report exclude each other'],
  [['--html'], '--html needs a value'],
  [['--html', '--json', 'app.js'], '--html needs a value, as in --html=VALUE, got "--json"'],
  [['--json=1', 'app.js'], '--json takes no value'],
])('%j is refused', (args, message) => {
  expect(() => parseRun(args)).toThrow(message)
})

test('a wrong variable is exit code 64, and nothing is started', async () => {
  for (const [name, value, message] of [
    ['DRAINED_CONNECTIONS', 'many', 'DRAINED_CONNECTIONS must be a whole number, 1 or more, got "many"\n'],
    ['DRAINED_CONECTIONS', '1', /^Unknown environment variable DRAINED_CONECTIONS: did you mean .*\n$/],
  ] as const) {
    const { code, stdout, stderr } = await run([calls], '', { [name]: value })
    expect({ code, stdout }, stderr).toEqual({ code: 64, stdout: '' })
    expect(stderr).toMatch(message)
  }
})

test('wrong arguments are exit code 64, and nothing is started', async () => {
  const { code, stdout, stderr } = await run(['--html', '/no/such/folder/x.html', 'app.js'])
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' })
  expect(stderr).toContain('there is no such folder')
  expect(() => refuseUnwritable(`${calls}/x.html`)).toThrow('there is no such folder')
})

test('a page that cannot be written is refused at once, as an existing file and as a new one', async () => {
  const closed = fs.mkdtempSync(path.join(os.tmpdir(), 'drained-closed-'))
  const page = path.join(closed, 'page.html')
  fs.writeFileSync(page, '', { mode: 0o444 })
  fs.chmodSync(closed, 0o555)
  // To root everything can be written.
  const file = program(
    'nobody.mjs',
    `import { refuseUnwritable } from '${path.join(import.meta.dirname, '../../src/cli/run.ts')}'
if (process.geteuid() === 0) process.setuid(65534)
for (const file of process.argv.slice(2)) try { refuseUnwritable(file) } catch ({ exitCode, message }) { console.log(exitCode, message) }`,
  )
  try {
    const { stdout, stderr } = await runPlain([file, page, path.join(closed, 'new.html')])
    expect(stdout, stderr).toMatch(/^(64 --html ".*" cannot be written: EACCES.*\n){2}$/)
  } finally {
    fs.chmodSync(closed, 0o755)
    fs.rmSync(closed, { recursive: true })
  }
})

test('what follows the program is its own, and -- ends ours', () => {
  expect(parseRun(['--html', 'a.html', 'app.js', '--json'])).toEqual({
    print: 'text',
    html: 'a.html',
    program: ['app.js', '--json'],
  })
  expect(parseRun(['--html=a.html', '--json', '--', '-odd.js'])).toEqual({
    print: 'json',
    html: 'a.html',
    program: ['-odd.js'],
  })
  expect(parseRun(['--json', '-', '--html']).program).toEqual(['-', '--html'])
  // A name that looks like an option is one where it is said to be.
  expect(parseRun(['--html=-x', 'app.js']).html).toBe('-x')
  expect(parseRun(['--html', '-', 'app.js']).html).toBe('-')
})
