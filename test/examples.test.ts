/** Every example runs alone, exits by itself and prints what it says; `npm start` has a test of its own. */
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

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
  'find-the-leak.ts':
    /^leak: getStatus \(.*examples\/find-the-leak\.ts:\d+:\d+\), GET \/status, found by the collector\nstarvation: 2 untouched of openReport \(.*examples\/find-the-leak\.ts:\d+:\d+\), 1 waits\n$/,
  'prometheus.ts':
    /^# TYPE drained_bodies_total counter\n(?:drained_bodies_total\{drained_client="items",server_address="127\.0\.0\.1",server_port="\d+",url_scheme="http",drained_outcome="\w+",drained_reason="\w+"\} [12]\n)+#/m,
  'hedge.ts': /30 calls, 3\d requests, hedged \d+, in flight 0\nthe slowest took less than three seconds/,
  'retry.ts':
    /attempt 2 was answered with 503\nGET: done\nPUT: done, 6 requests, 1 connection\noutage: 100 calls, all 503, at most 132/,
  'drop-in.ts': /50 answers, none read, at most 2 connections/,
  'per-service.ts':
    /\/whole\?sig=\*\*\* read \(complete\)[^]*\/given-up closed \(bytes\)[^]*opened 1, reset 1/,
  'services.ts':
    /20 calls to queue are done, 4 to blob wait[^]*No service for https:\/\/elsewhere\.example[^]*both claim/,
  'timeouts.ts': new RegExp(
    [
      '^connect  GET https://127.0.0.1:\\d+/ took longer than the 100 ms of timeout.connect',
      'queue    GET http://127.0.0.1:\\d+/waits took longer than the 50 ms of timeout.queue\\. Pool .* 1 body open.*/stalls',
      'headers  GET http://127.0.0.1:\\d+/silent\\?sig=\\*\\*\\* took longer than the 50 ms of timeout.headers',
      'body     GET http://127.0.0.1:\\d+/stalls took longer than the 50 ms of timeout.body',
      'total    GET http://127.0.0.1:\\d+/ticks took longer than the 300 ms of timeout.total\n$',
    ].join('\n'),
  ),
  's3.ts':
    /^hello from S3\n60 answers, none read, at most 4 connections\nuploaded in parts: "[0-9a-f]{32}(-3)?"\n$/,
  'gcs-rest.ts':
    /^uploaded 14 bytes\nhello from GCS\ndrained\/example\.txt\nmissing: 404\ndeleted: 204, 1 connection\n$/,
  'whole-process.ts': /without: 40 sockets[^]*with: at most 8 sockets for 40 answers/,
  'wrap-rest.ts': /wrapped: 30 missing, .*, fewer than 15[^]*as it was: 30 missing, .*, more than 15/,
  'http-agents.ts': /40 answers, none read, at most 8 connections[^]*100000 bytes, read late; 1 of 40 read/,
  'around-undici.ts':
    /discard: drained, 100000 bytes[^]*20 answers of Node's fetch, none read, at most 8 connections/,
  'retry-storage.ts':
    /azureStorage: "the object" at attempt 3, 2 retries\ns3: [^\n]*attempt 3[^]*gcs: [^\n]*attempt 3[^]*\n3 connections/,
  'azure-blob.ts':
    /uploaded 1048576\ndownloaded the same\n50 downloads, none read, at most 16 connections\nmissing: 404\n/,
  'azure-queue-table.ts': /one: 3\nthree: 5\ntwo: 3\n\d+ requests, at most 4 connections\n/,
}

for (const file of fs.readdirSync(path.join(root, 'examples')).filter((name) => name.endsWith('.ts'))) {
  test(`example ${file}`, async () => {
    const { code, stdout, stderr } = await run(`examples/${file}`)
    expect(stderr.replace(/.*ExperimentalWarning.*\n.*trace-warnings.*\n/, '')).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(prints[file] as RegExp)
  }, 60_000)

  test(`example ${file} is in words that Node 22 knows`, () => {
    expect(fs.readFileSync(path.join(root, 'examples', file), 'utf8')).not.toMatch(/^\s*(?:await )?using /m)
  })
}

test('on a Node.js that is too old, importing the package says in one line which one it needs', async () => {
  const old = `
    Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } })
    import('./src/index.ts').catch((error) => console.log(error.message))`
  const { stdout } = await run('--input-type=module', '--eval', old)
  expect(stdout).toBe('drained needs Node.js 22.19 or newer; this is 20.11.0\n')
})
