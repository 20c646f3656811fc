/** Which calls are traced, and how leaks are counted. */
import { expect, test, vi } from 'vitest'
import { type Found, Leaks, shapeOf } from '../../src/leaks.ts'
import { heard } from './support/serve.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const found: Found = {
  origin: 'http://a.example',
  method: 'GET',
  path: '/items/1?sig=a',
  status: 200,
  foundBy: 'collector',
  age: 1,
  received: 1,
  read: 0,
  unread: 1,
  heldConnection: false,
  site: undefined,
}

const traced = (leaks: Leaks, calls: number, to: unknown = 'http://b.example/others'): number => {
  let count = 0
  for (let call = 0; call < calls; call++) if (leaks.trace(traced, to) !== undefined) count++
  return count
}

test('the first calls of a client are all traced, then few', () => {
  const leaks = new Leaks('a', 'sample')
  expect(traced(leaks, 256)).toBe(256)
  // One in 1,024, and 50 per second of however long this takes.
  const started = performance.now()
  const few = traced(leaks, 500_000)
  expect(few).toBeGreaterThan(100)
  expect(few).toBeLessThan(2_000 + (performance.now() - started))
})

test('the first calls of a client are as many, however long the process has lived', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(3_600_000)
  try {
    expect(traced(new Leaks('a', 'sample'), 257)).toBe(256)
  } finally {
    now.mockRestore()
  }
})

test('a leak that nobody can name makes the next calls be traced, once a second', () => {
  const leaks = new Leaks('a', 'sample')
  traced(leaks, 1_000)
  leaks.report(found)
  expect(traced(leaks, 256)).toBe(256)
})

test('calls to the like of its path are traced among any number of others, within a budget', () => {
  const leaks = new Leaks('a', 'sample')
  traced(leaks, 1_000)
  leaks.report(found)
  traced(leaks, 5_000)
  expect(traced(leaks, 1_000, 'http://a.example/items/2?sig=b')).toBe(1_000)
  const started = performance.now()
  const rest = traced(leaks, 100_000, new URL('http://a.example/items/3'))
  expect(rest).toBeGreaterThan(1_000)
  expect(rest).toBeLessThan(10_000 + (performance.now() - started))
})

test('once the place has a name, they are traced like others', () => {
  const leaks = new Leaks('a', 'sample')
  traced(leaks, 1_000)
  leaks.report(found)
  leaks.report({ ...found, site: { function: 'load', file: '/app/jobs.js', line: 3, column: 7 } })
  traced(leaks, 1_000)
  expect(traced(leaks, 1_000, '/items/2')).toBeLessThan(500)
})

const hostile = new Proxy(
  {},
  {
    getPrototypeOf: () => {
      throw new Error('no')
    },
  },
)

test.each([undefined, null, 7, '', 'http://', 'x:', {}, Symbol('x'), hostile])(
  'what is no address is left to fetch (%#)',
  (input) => {
    const leaks = new Leaks('a', 'sample')
    traced(leaks, 1_000)
    leaks.report(found)
    traced(leaks, 300, input)
  },
)

test('all: every call is traced', () => {
  expect(traced(new Leaks('a', 'all'), 3_000)).toBe(3_000)
})

test('leaks without a call site count by method and path, ids apart; with one, by it', () => {
  using told = heard('drained:leak')
  const leaks = new Leaks('a', 'sample')
  for (let id = 0; id < 100; id++) leaks.report({ ...found, path: `/items/${id}?sig=a` })
  leaks.report({ ...found, method: 'PUT' })
  const site = { function: 'load', file: '/app/jobs.js', line: 3, column: 7 }
  for (let id = 0; id < 10; id++) leaks.report({ ...found, path: `/items/${id}`, site })
  expect(told.map(({ count, path, callSite }) => [count, path, callSite])).toEqual([
    [1, '/items/0?sig=***', undefined],
    [10, '/items/9?sig=***', undefined],
    [100, '/items/99?sig=***', undefined],
    [1, '/items/1?sig=***', undefined],
    [1, '/items/0', 'load (/app/jobs.js:3:7)'],
    [10, '/items/9', 'load (/app/jobs.js:3:7)'],
  ])
})

test.each([
  ['/items/17/parts/a-4f?sig=1/2', '/items/*/parts/*'],
  ['/items/', '/items/'],
  ['/v1', '/*'],
  ['/a?b#c', '/a'],
  ['*', '*'],
])('%s has the shape %s', (given, shape) => {
  expect(shapeOf(given)).toBe(shape)
})

test('the shape of a path however long, takes no time to speak of', () => {
  const text = `/${'a'.repeat(1_000_000)}`
  const started = performance.now()
  expect(shapeOf(text)).toBe(text)
  // By a regular expression that tries every end from every start it takes hours.
  expect(performance.now() - started).toBeLessThan(10_000)
})
