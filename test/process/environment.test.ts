/** Options of register from environment variables: one variable per option, checked, with its name in every error. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvalidOptionError } from '../../src/index.ts'
import { installFrom } from '../../src/process/environment.ts'
import { readOptions, variables } from '../../src/process/variables.ts'

test('every variable sets its option', () => {
  const environment = Object.fromEntries(
    Object.entries(variables).map(([name, { option }]) => [name, /fetch|http/.test(option) ? '1' : '42']),
  )
  expect(readOptions({ ...environment, DRAINED_PROXY: 'http://proxy:8080', DRAINED_LEAKS: 'all' })).toEqual({
    fetch: true,
    http: true,
    connections: 42,
    maxOrigins: 42,
    keepAlive: 42,
    connectionLifetime: 42,
    http2: true,
    proxy: 'http://proxy:8080',
    drain: { readAhead: 42, memory: 42, maxBytes: 42, maxTime: 42, stall: 42 },
    queue: { warn: 42 },
    leaks: 'all',
  })
})

test('true, false, 1 and 0 are booleans; an empty variable is not set; other names are not ours', () => {
  expect(readOptions({ DRAINED_FETCH: 'true', DRAINED_HTTP: '0', DRAINED_HTTP2: 'false' })).toEqual({
    fetch: true,
    http: false,
    http2: false,
  })
  expect(
    readOptions({ DRAINED_CONNECTIONS: '', PATH: '/bin', XDRAINED_A: '1', DRAINED_PROXY: 'false' }),
  ).toEqual({
    proxy: false,
  })
})

test.each([
  [{ DRAINED_CONNECTIONS: 'many' }, 'DRAINED_CONNECTIONS must be a whole number, 1 or more, got "many"'],
  [{ DRAINED_CONNECTIONS: '0' }, 'DRAINED_CONNECTIONS must be a whole number, 1 or more, got 0'],
  [{ DRAINED_CONNECTIONS: '1e3' }, 'DRAINED_CONNECTIONS must be a whole number, 1 or more, got "1e3"'],
  [
    { DRAINED_READ_AHEAD: '1MiB' },
    'DRAINED_READ_AHEAD must be a whole number of bytes, 0 or more, got "1MiB"',
  ],
  [{ DRAINED_HTTP: 'yes' }, 'DRAINED_HTTP must be true or false, got "yes"'],
  [{ DRAINED_MAX_TIME: '-1' }, 'DRAINED_MAX_TIME must be milliseconds from 0 to 2147483647, got "-1"'],
  [
    { DRAINED_PROXY: 'socks://user:secret@host' },
    /^DRAINED_PROXY must be 'env', an http: or https: URL, or false/,
  ],
  [
    { DRAINED_CONECTIONS: '1' },
    /^Unknown environment variable DRAINED_CONECTIONS: did you mean DRAINED_CONNECTIONS\?/,
  ],
  [{ DRAINED_: '1' }, /^Unknown environment variable DRAINED_/],
])('%o is refused by name', (environment, message) => {
  let error: unknown
  try {
    installFrom(environment)()
  } catch (refused) {
    error = refused
  }
  expect(error).toBeInstanceOf(InvalidOptionError)
  const [name = ''] = Object.keys(environment)
  expect((error as InvalidOptionError).option).toBe(name)
  expect((error as InvalidOptionError).message).toMatch(message)
  expect((error as InvalidOptionError).message).not.toContain('secret')
})

test('whatever a variable holds, it is installed or refused by name', () => {
  const text = fc.oneof(
    fc.string(),
    fc.nat({ max: 2 ** 33 }).map(String),
    fc.constantFrom('true', 'false', '0', '1', 'env', 'http://a', 'http://a@b:c'),
  )
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(variables)), text, (name, value) => {
      try {
        installFrom({ [name]: value })()
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidOptionError)
        expect(error).toMatchObject({ option: name })
      }
    }),
  )
})
