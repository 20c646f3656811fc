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
  'drop-in.ts': /50 answers, none read, at most 2 connections/,
  'per-service.ts':
    /\/whole\?sig=\*\*\* read \(complete\)[^]*\/given-up closed \(bytes\)[^]*opened 1, reset 1/,
  'http-agents.ts': /40 answers, none read, at most 8 connections[^]*100000 bytes, read late; 1 of 40 read/,
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

test('on a Node.js that is too old, importing the package says in one line which one it needs', async () => {
  const old = `
    Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } })
    import('./src/index.ts').catch((error) => console.log(error.message))`
  const { stdout } = await run('--input-type=module', '--eval', old)
  expect(stdout).toBe('drained needs Node.js 22.19 or newer; this is 20.11.0\n')
})
