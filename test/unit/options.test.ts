import { Agent } from 'undici'
import { expect, test } from 'vitest'
import { createClient, discard, drain, InvalidOptionError } from '../../src/index.ts'

const bad: [string, unknown, RegExp][] = [
  [
    'an unknown name, with the nearest',
    { conections: 3 },
    /Unknown option conections: did you mean connections\?/,
  ],
  [
    'an unknown name inside drain',
    { drain: { maxbytes: 3 } },
    /Unknown option drain\.maxbytes: did you mean drain\.maxBytes\?/,
  ],
  ['connections 0', { connections: 0 }, /connections must be a whole number, 1 or more, got 0/],
  ['connections NaN', { connections: Number.NaN }, /connections must be .* got NaN/],
  ['connections Infinity', { connections: Infinity }, /connections must be .* got Infinity/],
  [
    'a size as text',
    { drain: { readAhead: '1 MiB' } },
    /drain\.readAhead must be a whole number of bytes, 0 or more, got "1 MiB"/,
  ],
  [
    'a negative time',
    { drain: { maxTime: -1 } },
    /drain\.maxTime must be milliseconds from 0 to 2147483647, got -1/,
  ],
  ['a time past 31 bits', { drain: { stall: 2 ** 31 } }, /drain\.stall must be/],
  [
    'an origin that is no URL',
    { origin: 'example.com' },
    /origin must be an http: or https: URL, got "example.com"/,
  ],
  ['a proxy of another scheme', { proxy: 'socks://x' }, /proxy must be 'env'/],
  ['a header that is no string', { headers: { a: 1 } }, /headers must be an object whose values are strings/],
  [
    'headers that are a Headers object',
    { headers: new Headers({ a: 'b' }) },
    /headers must be an object whose/,
  ],
  ['a header name that is none', { headers: { 'bad name': 'x' } }, /headers must be .* got an object/],
  ['a header value with a line break', { headers: { a: 'b\r\nc: d' } }, /headers must be/],
  ['a lifetime of nothing', { connectionLifetime: 0 }, /connectionLifetime must be milliseconds from 1/],
  ['a time limit that is none', { timeout: { total: '1s' } }, /timeout\.total must be milliseconds from 0/],
  ['an unknown time limit', { timeout: { haeders: 1 } }, /did you mean timeout\.headers/],
  ['a size that is none', { maxResponseSize: 1.5 }, /maxResponseSize must be a whole number of bytes/],
  ['drain that is a Map', { drain: new Map() }, /drain must be an object/],
  ['options that are an array', [], /options must be an object, got an array/],
  ['drain that is null', { drain: null }, /drain must be an object, got null/],
  ['a dispatcher that is none', { dispatcher: {} }, /dispatcher must be an undici Dispatcher/],
  [
    'an unknown socket option',
    { connect: { localAdress: 'x' } },
    /connect\.localAdress: did you mean connect\.localAddress\?/,
  ],
]

test.each(bad)('refuses %s', (_, options, message) => {
  expect(() => createClient(options as never)).toThrow(message)
  expect(() => createClient(options as never)).toThrow(InvalidOptionError)
})

test('refuses connection options beside a dispatcher, which would overrule them', () => {
  expect(() => createClient({ dispatcher: new Agent(), connections: 3 })).toThrow(
    /connections cannot be combined with dispatcher/,
  )
  expect(() => createClient({ dispatcher: new Agent(), timeout: { connect: 3 } })).toThrow(
    /timeout\.connect cannot be combined with dispatcher: set it on the dispatcher you pass/,
  )
})

const secret: [string, unknown][] = [
  ['a URL of another scheme', { origin: 'ftp://me:hunter2@example.com' }],
  ['a user without a password', { origin: 'ftp://hunter2@example.com' }],
  ['a proxy without its scheme', { proxy: 'me:hunter2@proxy:3128' }],
  ['a proxy whose port is none', { proxy: 'http://me:hunter2@proxy:99999' }],
  ['a proxy URL of another scheme', { proxy: new URL('socks4://me:hunter2@h') }],
  ['a signed origin', { origin: 'ftp://h/?sig=hunter2' }],
  ['headers that are a string', { headers: 'Bearer hunter2' }],
  ['a header with a line break', { headers: { authorization: 'hunter2\r\nx: y' } }],
  ['drain that is a string', { drain: 'hunter2' }],
]
test.each(secret)('an error shows no credentials: %s', (_, options) => {
  const shown = ((): string => {
    try {
      createClient(options as never)
    } catch (error) {
      return (error as Error).message
    }
    return 'hunter2: accepted'
  })()
  expect(shown).not.toContain('hunter2')
})

test('drain() and discard() check theirs', () => {
  expect(() => drain({ stal: 1 } as never)).toThrow(/drain\.stal: did you mean drain\.stall\?/)
  expect(() => discard(null, { maxBytes: -1 })).toThrow(/bounds\.maxBytes/)
})

test('the code of the error is stable', () => {
  try {
    createClient({ connections: 0 })
    expect.unreachable()
  } catch (error) {
    expect(error).toMatchObject({
      code: 'ERR_DRAINED_INVALID_OPTION',
      option: 'connections',
      name: 'InvalidOptionError',
    })
  }
})
