/** `npm start` as a command: what it counts, what it refuses, and the page it writes. */
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parse } from '../examples/port-exhaustion/args.ts'
import { live } from '../examples/port-exhaustion/live.ts'
import { page } from '../examples/port-exhaustion/page.ts'
import { type Row, table } from '../examples/port-exhaustion/table.ts'

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const root = path.join(import.meta.dirname, '..')
// Not report/: other runs write there.
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'drained-start-'))
afterAll(() => fs.rmSync(scratch, { recursive: true }))

function start(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd: root, timeout: 50_000 }
    execFile(
      process.execPath,
      ['examples/port-exhaustion/main.ts', ...args],
      options,
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })
}

const externals = /\b(?:src|href|srcset|data|action)=|url\(|@import|<(?:script|link|iframe|img)\b/i

test('drained does every call on few sockets where others hang or open many', async () => {
  const file = path.join(scratch, 'page.html')
  const { code, stdout } = await start(
    '--json',
    '--count',
    '40',
    '--clients',
    'drained,undici,node',
    '--page',
    file,
  )
  expect(code).toBe(0)
  const report = JSON.parse(stdout) as { rows: Row[]; notes: string[]; page: string }
  expect(report.page).toBe(file)

  const [drained, undici, node] = report.rows as [Row, Row, Row]
  expect(drained).toMatchObject({ client: 'drained', done: 40, failed: 0, hung: 0 })
  expect(drained.opened).toBeLessThanOrEqual(8 + 4)
  expect(drained.kinds).toMatchObject({
    created: { begun: 10, done: 10, failed: 0 },
    missing: { begun: 8, done: 8, failed: 0 },
    blob: { begun: 2, done: 2, failed: 0 },
    feed: { begun: 2, done: 2, failed: 0 },
  })
  expect(undici.hung).toBeGreaterThan(0)
  expect(undici.done + undici.failed + undici.hung).toBe(40)
  expect(node.opened).toBeGreaterThan(8 + 4)
  expect(report.notes.join('\n')).toMatch(/drain\.stall 500 ms[^]*no limit of sockets/)

  const html = fs.readFileSync(file, 'utf8')
  expect(html).not.toMatch(externals)
  for (const { client } of report.rows)
    expect(html).toMatch(new RegExp(`data-client="${client}" points="[\\d., ]+"`))
}, 60_000)

test('endpoints of the user are counted in the client, and no secret is printed', async () => {
  const server = http.createServer((_, answer) => void answer.writeHead(404).end(Buffer.alloc(512 * 1024)))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  let accepted = 0
  server.on('connection', () => accepted++)
  const { port } = server.address() as AddressInfo
  const file = path.join(scratch, 'own.html')
  try {
    const url = `http://127.0.0.1:${port}/a?sig=hunter2`
    const json = await start(url, '--json', '--count', '6', '--clients', 'drained,http', '--page', file)
    const { rows } = JSON.parse(json.stdout) as { rows: Row[] }
    expect(rows.map(({ done, hung }) => [done, hung])).toEqual([
      [6, 0],
      [6, 0],
    ])
    expect((rows[0]?.opened ?? 0) + (rows[1]?.opened ?? 0)).toBe(accepted)
    // Nothing of an unread answer of node:http can be used again.
    expect(rows[1]?.opened).toBe(6)
    const text = await start(url, '--count', '2', '--clients', 'drained', '--page', file)
    expect(text.stdout).toContain('/a?sig=***')
    for (const each of [json.stdout, json.stderr, text.stdout, text.stderr, fs.readFileSync(file, 'utf8')])
      expect(each).not.toContain('hunter2')
  } finally {
    server.closeAllConnections()
    server.close()
  }
}, 60_000)

test('a bad URL ends with exit code 2, a message without its secrets, and the usage', async () => {
  const { code, stdout, stderr } = await start('htps://host/path?sig=hunter2')
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toMatch(
    /^url must be an http: or https: URL, got "htps:\/\/host\/path\?sig=\*\*\*"\n[^]*--count N/,
  )
})

test('--help', async () => {
  const { code, stdout } = await start('--help')
  expect(code).toBe(0)
  for (const option of ['count', 'concurrency', 'method', 'body', 'clients', 'page', 'json'])
    expect(stdout).toContain(`--${option}`)
})

test('arguments, given and not', () => {
  const nothing = { urls: [], count: 200, concurrency: 1, method: 'GET', json: false, help: false }
  expect(parse([])).toMatchObject({ ...nothing, clients: ['drained', 'undici', 'node', 'http'] })
  const args =
    'https://h/p --count 5 --concurrency 2 --method put --body x --clients http,drained,http --json'
  expect(parse(args.split(' '))).toMatchObject({
    urls: ['https://h/p'],
    count: 5,
    concurrency: 2,
    method: 'PUT',
    body: 'x',
    clients: ['http', 'drained'],
    json: true,
  })
})

const refused: [string, RegExp][] = [
  ['http://me:hunter2@h/', /^url must be one without user and password, got "http:\/\/\*\*\*@h\/"$/],
  ['--count 1e3', /^--count must be a whole number from 1 to 100000, got "1e3"$/],
  ['--concurrency -1', /--concurrency/],
  ['--clients drained,', /^--clients must be of drained, undici, node, http, got ""$/],
  ['--method PUT', /^--method needs a url/],
  ['https://h/ --method TRACE', /^--method must be a method such as GET or PUT, got "TRACE"$/],
  ['https://h/ --body x', /^--body needs a url and a --method that takes a body/],
  ['--page=', /^--page must be the name of a file, got ""$/],
  ['--json=yes', /--json/],
]
test.each(refused)('npm start -- %s is refused', (args, message) => {
  expect(() => parse(args.split(' '))).toThrow(message)
})

const row: Row = {
  client: 'drained',
  calls: 200,
  done: 200,
  failed: 0,
  hung: 0,
  opened: 3,
  open: 1,
  timeWait: undefined,
  ms: 1_234,
  error: undefined,
  samples: [
    [0, 0, 0],
    [100, 3, 200],
  ],
}
const hung: Row = { ...row, client: 'http', done: 8, hung: 192, opened: 8, open: 8, timeWait: 0 }

test('the columns of the table line up', () => {
  expect(table([row, hung])).toBe(
    [
      '                       sockets  still  TIME_WAIT       calls',
      'client                  opened   open       left        done  failed            hung   time',
      '---------------------  -------  -----  ---------  ----------  ------  --------------  -----',
      'drained (pool of 8)          3      1        n/a  200 of 200       0               0  1.2 s',
      'node:http (pool of 8)        8      8          0    8 of 200       0  192 (for ever)  1.2 s',
    ].join('\n'),
  )
  expect(table([hung], 'for 5 s')).toContain('192 (for 5 s)')
})

test('the page says in words what its curves show', () => {
  const html = page([row, hung], 'title', ['a <note>'])
  expect(html).not.toMatch(externals)
  expect(html).toMatch(/drained \(pool of 8\)<\/strong> 200 of 200 calls done, 3 sockets at most/)
  expect(html).toMatch(/node:http \(pool of 8\)<\/strong> hung after 8 of 200 calls/)
  expect(html).toContain('a &#60;note&#62;')
})

test('the live view: plain lines without a terminal, lines drawn again on one', () => {
  const written: string[] = []
  const screen = { write: (text: string) => written.push(text), columns: 60 }
  const now = { done: 100, open: 8 }
  live(screen, ['drained', 'http'], 200, false).end('drained', now, 'done')
  expect(written.splice(0)).toEqual([
    '  drained (pool of 8)   [######......] 100 of 200 calls,   8 sockets open: done\n',
  ])
  const terminal = live(screen, ['drained', 'http'], 200, true)
  terminal.update('drained', now)
  terminal.update('drained', now)
  const escape = String.fromCharCode(27)
  expect(written[1]?.startsWith(`${escape}[2A${escape}[2K  drained`)).toBe(true)
  const longest = written.join('').replaceAll(`${escape}[2A`, '').replaceAll(`${escape}[2K`, '').split('\n')
  expect(Math.max(...longest.map((line) => line.length))).toBe(59)
})
