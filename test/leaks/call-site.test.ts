/** What a stack says of where a call was made. */
import path from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { siteIn, Trace, textOf } from '../../src/call-site.ts'

const src = path.join(import.meta.dirname, '../../src')
const stack = (...frames: string[]): string => `Error\n${frames.map((each) => `    at ${each}`).join('\n')}`

test.each([
  ['load (/app/jobs.js:3:7)', { function: 'load', file: '/app/jobs.js', line: 3, column: 7 }],
  [
    'async load (file:///app/my%20jobs.js:3:7)',
    { function: 'load', file: '/app/my jobs.js', line: 3, column: 7 },
  ],
  ['/app/jobs.js:3:7', { function: undefined, file: '/app/jobs.js', line: 3, column: 7 }],
  ['async file:///app/jobs.js?v=1:3:7', { function: undefined, file: '/app/jobs.js', line: 3, column: 7 }],
  ['new Job (/app (2)/jobs.js:3:7)', { function: 'new Job', file: '/app (2)/jobs.js', line: 3, column: 7 }],
  [
    'GET /items (v1) (file:///app (2)/jobs.js:3:7)',
    { function: 'GET /items (v1)', file: '/app (2)/jobs.js', line: 3, column: 7 },
  ],
  ['/app (2)/jobs.js:3:7', { function: undefined, file: '/app (2)/jobs.js', line: 3, column: 7 }],
  ['Job.run [as go] (/app/jobs.js:3:7)', { function: 'Job.run', file: '/app/jobs.js', line: 3, column: 7 }],
  [
    'Object.<anonymous> (/app/jobs.js:3:7)',
    { function: undefined, file: '/app/jobs.js', line: 3, column: 7 },
  ],
  ['load (C:\\app\\jobs.js:3:7)', { function: 'load', file: 'C:\\app\\jobs.js', line: 3, column: 7 }],
  [
    'load (webpack://app/./jobs.ts:3:7)',
    { function: 'load', file: 'webpack://app/./jobs.ts', line: 3, column: 7 },
  ],
])('%s', (frame, site) => {
  expect(siteIn(stack(frame))).toEqual(site)
})

test.each([
  'async Promise.all (index 0)',
  'node:internal/process/task_queues:105:5',
  'eval (eval at load (/app/jobs.js:3:7), <anonymous>:1:1)',
  'load (<anonymous>)',
  `fetch (${src}/client.ts:90:5)`,
  `fetch (${src.replace(/src$/, 'dist')}/client.js:90:5)`,
])('%s is nobody’s call', (frame) => {
  expect(siteIn(stack(frame))).toBe(undefined)
  expect(siteIn(stack(frame, 'load (/app/jobs.js:3:7)'))?.function).toBe('load')
})

test('a package is named only if nothing else is', () => {
  const ky = 'ky (/app/node_modules/ky/index.js:1:2)'
  expect(siteIn(stack(ky, 'async load (/app/jobs.js:3:7)'))?.function).toBe('load')
  expect(siteIn(stack(ky, 'node:internal/x:1:1'))?.function).toBe('ky')
})

test('whatever a stack is, it is read without an error', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(fc.string()).map((frames) => stack(...frames)),
      ),
      (text) => {
        const site = siteIn(text)
        if (site !== undefined) expect(textOf(site)).toContain(`:${site.line}:`)
      },
    ),
  )
})

test('a program that formats stacks by itself, or cannot, costs the name and nothing else', () => {
  const before = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace')
  const limit = Error.stackTraceLimit
  try {
    Error.prepareStackTrace = () => ({ not: 'text' })
    expect(new Trace(test).site).toBe(undefined)
    Error.prepareStackTrace = () => {
      throw new Error('no')
    }
    expect(new Trace(test).site).toBe(undefined)
    Error.stackTraceLimit = 0
    void new Trace(test)
    expect(Error.stackTraceLimit).toBe(0)
  } finally {
    Reflect.deleteProperty(Error, 'prepareStackTrace')
    if (before !== undefined) Object.defineProperty(Error, 'prepareStackTrace', before)
    Error.stackTraceLimit = limit
  }
})
