/** What a server says about when to come back, in every form it is said. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { retryAfter } from '../../src/retry/retry-after.ts'

const now = Date.UTC(2026, 10, 24, 12, 0, 0)
const parse = (headers: Record<string, string>, status = 503): number | undefined =>
  retryAfter(new Headers(headers), status, now)

test.each([
  ['seconds', { 'retry-after': '120' }, 120_000],
  ['a fraction of seconds', { 'retry-after': '0.25' }, 250],
  ['no time at all', { 'retry-after': '0' }, 0],
  ['a date', { 'retry-after': 'Tue, 24 Nov 2026 12:00:30 GMT' }, 30_000],
  ['a date of RFC 850', { 'retry-after': 'Tuesday, 24-Nov-26 12:00:30 GMT' }, 30_000],
  ['a date of asctime()', { 'retry-after': 'Tue Nov 24 12:00:30 2026' }, 30_000],
  ['a date that is over', { 'retry-after': 'Tue, 24 Nov 2026 11:59:00 GMT' }, 0],
  [
    "a date by the server's clock, which goes ten minutes ahead",
    { date: 'Tue, 24 Nov 2026 12:10:00 GMT', 'retry-after': 'Tue, 24 Nov 2026 12:10:05 GMT' },
    5_000,
  ],
  ['milliseconds', { 'retry-after-ms': '1500' }, 1_500],
  ['milliseconds of Azure', { 'x-ms-retry-after-ms': '42' }, 42],
  ['milliseconds before seconds', { 'retry-after-ms': '10', 'retry-after': '9' }, 10],
  ['seconds until the limit is reset', { 'ratelimit-reset': '7' }, 7_000],
  ['the time the limit is reset', { 'ratelimit-reset': String(now / 1_000 + 9) }, 9_000],
  ['Retry-After before the limit', { 'ratelimit-reset': '7', 'retry-after': '3' }, 3_000],
] as const)('%s', (_, headers, expected) => {
  expect(parse(headers)).toBe(expected)
})

test.each([
  {},
  { 'retry-after': '' },
  { 'retry-after': 'soon' },
  { 'retry-after': '-5' },
  { 'retry-after': '0x10' },
  { 'retry-after': '1e3' },
  { 'retry-after': '5, 10' },
  { 'retry-after': '2026-11-24' },
  { 'retry-after': 'Tue, 99 Nov 2026 12:00:30 GMT' },
  { 'retry-after-ms': 'NaN' },
  { 'ratelimit-reset': '-1' },
])('what cannot be understood says nothing: %o', (headers) => {
  expect(parse(headers)).toBeUndefined()
})

test('a limit that will be reset says nothing of a failure that has another reason', () => {
  expect(parse({ 'ratelimit-reset': '7' }, 500)).toBeUndefined()
  expect(parse({ 'ratelimit-reset': '7' }, 429)).toBe(7_000)
})

test('any text gives a wait or nothing, never a negative wait and never an error', () => {
  const value = fc.oneof(
    fc.string({ unit: 'grapheme-ascii' }),
    fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    fc.double().map(String),
    fc.integer().map(String),
  )
  const name = fc.constantFrom(
    'retry-after',
    'retry-after-ms',
    'x-ms-retry-after-ms',
    'ratelimit-reset',
    'date',
  )
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 3 }), (headers) => {
      const wait = parse(headers)
      expect(wait === undefined || wait >= 0).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})
