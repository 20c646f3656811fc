/** Every example runs alone, exits by itself and prints what it says; so do the two commands of the README. */
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { parse } from '../examples/port-exhaustion/args.ts'
import { page } from '../examples/port-exhaustion/page.ts'
import { type Row, table } from '../examples/port-exhaustion/table.ts'

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const root = path.join(import.meta.dirname, '..')

function run(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({
        code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1,
        stdout,
        stderr,
      }),
    )
  })
}

const prints: Record<string, RegExp> = {
  'drop-in.ts': /50 answers, none read, at most 2 connections/,
  'per-service.ts':
    /\/whole\?sig=\*\*\* read \(complete\)[^]*\/given-up closed \(bytes\)[^]*opened 1, reset 1/,
  'around-undici.ts':
    /discard: drained, 100000 bytes[^]*20 answers of Node's fetch, none read, at most 8 connections/,
}

for (const file of fs.readdirSync(path.join(root, 'examples')).filter((name) => name.endsWith('.ts'))) {
  test(`example ${file}`, async () => {
    const { code, stdout, stderr } = await run(`examples/${file}`)
    expect(stderr.replace(/.*ExperimentalWarning.*\n.*trace-warnings.*\n/, '')).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(prints[file] as RegExp)
  })
}

test('npm start: drained does every call where a pool of 8 hangs', async () => {
  const { code, stdout } = await run(
    'examples/port-exhaustion/main.ts',
    '--json',
    '--count',
    '40',
    '--clients',
    'drained,http',
  )
  expect(code).toBe(0)
  const { rows, page: file } = JSON.parse(stdout) as { rows: Row[]; page: string }
  const [drained, http] = rows as [Row, Row]
  expect(drained).toMatchObject({ done: 40, failed: 0, hung: 0 })
  expect(drained.open).toBeLessThanOrEqual(8)
  if (process.platform === 'linux') expect(drained.timeWait).toBe(0)
  expect(http).toMatchObject({ done: 8, hung: 32 })
  expect(fs.readFileSync(file, 'utf8')).toContain('data-client="drained"')
}, 60_000)

const refused: [string[], RegExp][] = [
  [['nonsense'], /url must be an http: or https: URL, got "nonsense"/],
  [['ftp://h/'], /url must be an http: or https: URL, got "ftp:\/\/h\/"/],
  [['--count', '0'], /--count must be a whole number from 1 to 100000, got "0"/],
  [['--concurrency', 'many'], /--concurrency must be a whole number from 1 to 1000, got "many"/],
  [['--clients', 'curl'], /--clients must be of drained, undici, node, http, got "curl"/],
  [['--method', 'G T'], /--method must be/],
  [['--colour'], /Unknown option '--colour'/],
]
test.each(refused)('npm start -- %s is refused', (args, message) => {
  expect(() => parse(args)).toThrow(message)
})

test('a refused argument ends with exit code 2 and the usage', async () => {
  const { code, stderr } = await run('examples/port-exhaustion/main.ts', 'nonsense')
  expect(code).toBe(2)
  expect(stderr).toMatch(/got "nonsense"[^]*--count N/)
})

const row: Row = {
  client: 'drained',
  calls: 2,
  done: 1,
  failed: 0,
  hung: 1,
  opened: 1,
  open: undefined,
  timeWait: 0,
  ms: 1500,
  error: undefined,
  samples: [
    [0, 0],
    [100, 1],
  ],
}

test('the table is plain text', () => {
  expect(table([row])).toMatch(/drained \(pool of 8\) +1 +n\/a +0 +1 of 2 +0 +1 \(for ever\) +1\.5 s/)
})

test('the page needs no network and is escaped', () => {
  const html = page([row, { ...row, client: 'undici' }], 'a <b> & "c"')
  expect(html).not.toMatch(/https?:|src=|@import|<b>/)
  expect(html.match(/<polyline/g)).toHaveLength(2)
})
