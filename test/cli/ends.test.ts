/** Programs that end in odd ways under `drained run`: each ends as it does without it, and what is reported of its end is true. */
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { folder, program, reportIn, run, runPlain } from './programs.ts'

// A program starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 })
afterAll(() => fs.rmSync(folder, { recursive: true }))

test.each([
  ['changes its exit code at its end', `process.on('exit', () => { process.exitCode = 3 })`],
  ['changes it by process.exit at its end', `process.on('exit', () => process.exit(4))`],
  ['changes it after process.exit', `process.on('exit', () => { process.exitCode = 5 }); process.exit(6)`],
  ['throws at its end', `process.on('exit', () => { throw new Error('at the end') })`],
  ['throws', `process.on('exit', () => console.log('ends')); throw new Error('nobody catches this')`],
  ['rejects', `Promise.reject(new Error('nobody catches this'))`],
  [
    'catches what nobody else does',
    `process.on('uncaughtException', () => process.exit(9)); throw new Error('caught')`,
  ],
  [
    'wants no listener but its own',
    `process.removeAllListeners(); process.once('exit', () => process.exit(8))`,
  ],
  [
    'replaces process.exit and the console',
    `process.exit = console.error = () => {}; process.exit(1); process.exitCode = 2`,
  ],
])('a program that %s is reported with the exit code it has', async (what, source) => {
  const file = program(`${what.replaceAll(' ', '-')}.cjs`, source)
  const plain = await runPlain([file])
  const { code, stdout, stderr } = await run(['--json', file])
  expect({ code, stdout }).toEqual({ code: plain.code, stdout: plain.stdout })
  expect(reportIn(stderr).ended).toBe(`exit code ${plain.code}`)
})

test.each([
  ['nobody listened', ''],
  ['it listened', `process.on('SIGTERM', () => {}); process.prependListener('SIGTERM', () => {});`],
])(
  'a program that removes all listeners of a signal, where %s, ends by it, and is reported',
  async (_, source) => {
    const file = program(
      'removes-all.cjs',
      `${source} process.removeAllListeners('SIGTERM')
setInterval(() => {}, 1000)
process.kill(process.pid, 'SIGTERM')`,
    )
    const { code, signal, stderr } = await run(['--json', file])
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' })
    expect(reportIn(stderr).ended).toBe('SIGTERM')
  },
)

test('a signal that a program emits to itself ends nothing, whoever listens', async () => {
  const file = program(
    'prompt.cjs',
    `process.emit('SIGTERM', 'SIGTERM')
process.once('SIGINT', () => setTimeout(() => { console.log('closed'); process.exit(5) }, 20))
process.emit('SIGINT')
setInterval(() => {}, 1000)`,
  )
  const { code, signal, stdout, stderr } = await run(['--json', file])
  expect({ code, signal, stdout }, stderr).toEqual({ code: 5, signal: null, stdout: 'closed\n' })
  expect(reportIn(stderr).ended).toBe('exit code 5')
})

test('a file that has the number of a standard error the program has closed holds what the program wrote, and no report', async () => {
  const own = path.join(folder, 'own.txt')
  const file = program(
    'closes.cjs',
    `const fs = require('node:fs')
fs.closeSync(2)
const fd = fs.openSync(${JSON.stringify(own)}, 'w')
fs.writeSync(fd, 'mine')
console.log(fd)`,
  )
  const { code, stdout } = await run([file])
  expect({ code, stdout }).toEqual({ code: 0, stdout: '2\n' })
  expect(fs.readFileSync(own, 'utf8')).toBe('mine')
})
