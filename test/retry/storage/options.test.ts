/** Options of the policies are checked when the policy is made; a bad one is named, with what is accepted. */
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { InvalidOptionError } from '../../../src/index.ts'
import { budgetDefaults } from '../../../src/options/retry.ts'
import { azureDefaults, gcsDefaults, s3Defaults } from '../../../src/options/storage.ts'
import { azureStorage, gcs, s3 } from '../../../src/storage.ts'

const makers: Record<string, (options: never) => unknown> = { azureStorage, s3, gcs }

test.each([
  [
    'azureStorage',
    { secondry: 'x' },
    /Unknown option azureStorage\.secondry: did you mean azureStorage\.secondary\?/,
  ],
  [
    'azureStorage',
    { secondary: 'https://a.example' },
    /azureStorage\.secondary must be a host, perhaps with a port/,
  ],
  ['azureStorage', { secondary: 'a.example/box' }, /secondary must be/],
  ['azureStorage', { secondary: 'me:secret@a.example' }, /^(?!.*secret).*secondary must be/],
  ['azureStorage', { secondary: 'a.example?sig=1' }, /secondary must be/],
  ['azureStorage', { secondary: '' }, /secondary must be/],
  ['azureStorage', { secondary: 'a.example:99999' }, /secondary must be/],
  ['azureStorage', { secondary: new URL('https://a.example') }, /secondary must be/],
  ['azureStorage', { statuses: [99] }, /azureStorage\.statuses must be an array of statuses/],
  ['azureStorage', { mayDuplicate: 1 }, /azureStorage\.mayDuplicate must be true or false, got 1/],
  ['azureStorage', { maxAttempts: 0 }, /azureStorage\.maxAttempts must be a whole number, 1 or more, got 0/],
  ['azureStorage', { backoff: { initial: -1 } }, /azureStorage\.backoff\.initial must be milliseconds/],
  ['azureStorage', { backoff: { factor: 2 } }, /Unknown option azureStorage\.backoff\.factor/],
  ['azureStorage', { backoff: 5 }, /azureStorage\.backoff must be an object/],
  ['azureStorage', { budget: { share: 2 } }, /azureStorage\.budget\.share must be a number from 0 to 1/],
  ['azureStorage', { budget: true }, /azureStorage\.budget must be an object, or false/],
  ['azureStorage', { maxRetryAfter: Infinity }, /azureStorage\.maxRetryAfter must be milliseconds/],
  ['azureStorage', { onRetry: 'log' }, /azureStorage\.onRetry must be a function/],
  ['azureStorage', 5, /azureStorage must be an object/],
  ['s3', { secondary: 'a.example' }, /Unknown option s3\.secondary/],
  ['s3', { budget: false }, /Unknown option s3\.budget/],
  ['s3', { backoff: { throttled: 'long' } }, /s3\.backoff\.throttled must be milliseconds/],
  ['s3', { maxAttempts: 1.5 }, /s3\.maxAttempts must be a whole number/],
  ['gcs', { mayDuplicate: 'no' }, /gcs\.mayDuplicate must be true or false/],
  ['gcs', { backoff: { throttled: 1 } }, /Unknown option gcs\.backoff\.throttled/],
  ['gcs', { statuses: [500] }, /Unknown option gcs\.statuses/],
] as [string, unknown, RegExp][])('%s(%j) is refused', (name, options, message) => {
  const make = (): unknown => makers[name]?.(options as never)
  expect(make).toThrow(InvalidOptionError)
  expect(make).toThrow(message)
})

test('undefined is as if it were not there', () => {
  const options = { maxAttempts: undefined, backoff: undefined, onRetry: undefined } as never
  for (const make of Object.values(makers)) expect(make(options)).toEqual(make({} as never))
  expect(azureStorage(options).maxAttempts).toBe(4)
  expect(s3(options).maxAttempts).toBe(3)
  expect(gcs(options).maxAttempts).toBe(4)
})

test.each([
  'account-secondary.blob.core.windows.net',
  'HOST.example',
  '127.0.0.1:80',
  '[::1]:10',
  'a.example:443',
])('%s is a host', (secondary) => expect(azureStorage({ secondary }).maxAttempts).toBe(4))

test('docs/storage.md has every option and every default', () => {
  const read = (file: string): string =>
    fs.readFileSync(path.join(import.meta.dirname, '../../..', file), 'utf8')
  const page = read('docs/storage.md')
  const source = read('src/options/storage.ts')
  const declared = [...source.matchAll(/^ {2}(\w+)\?: /gm)].map(([, name]) => name as string)
  expect(declared).toContain('secondary')
  for (const name of declared) expect(page).toMatch(new RegExp(`^\\| \`${name}\` `, 'm'))
  const all = [azureDefaults, s3Defaults, gcsDefaults].map(({ maxAttempts }) => `\`${maxAttempts}\``)
  expect(page).toMatch(new RegExp(`\\| \`maxAttempts\` .*${all.join(', ')}`))
  for (const name of ['initial', 'max'] as const) {
    const row = [azureDefaults, s3Defaults, gcsDefaults].map(({ backoff }) => `\`${backoff[name]}\` *`)
    expect(page).toMatch(new RegExp(`\\| \`${name}\` .*${row.join('\\| ')}`))
  }
  expect(page).toMatch(new RegExp(`\\| \`throttled\` .*\`${s3Defaults.backoff.throttled}\``))
  expect(page).toMatch(new RegExp(`\\| \`maxRetryAfter\` .*\`${gcsDefaults.maxRetryAfter}\``))
  const { share, floor } = budgetDefaults
  expect(page).toContain(`{ share: ${share}, floor: ${floor} }`)
})
