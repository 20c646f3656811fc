import fc from 'fast-check'
import { expect, test } from 'vitest'
import { baseOf, readAddress, resolveAddress } from '../../src/fetch/address.ts'

const origins = [
  'http://127.0.0.1:3000',
  'https://example.com',
  'http://[::1]:8080',
  'https://xn--bcher-kva.example',
]
/** Pieces at which a parser does something, and all single characters. */
const piece = fc.oneof(
  fc.constantFrom(
    '/',
    '//',
    '/.',
    '/..',
    '/...',
    '/%2e',
    '/%2E%2e/',
    '.',
    '?',
    '#',
    '\\',
    '%',
    '%zz',
    "'",
    '@',
    ':',
    '|',
  ),
  fc.constantFrom(
    ' ',
    '\t',
    '\n',
    '\u00a0',
    'ü',
    '\ud800',
    '^',
    '`',
    '{',
    '"',
    '<',
    '[',
    ';',
    '~',
    '+',
    '&a=b',
  ),
  fc.string({ maxLength: 3, unit: 'binary' }),
)
const rest = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))

test('an address is what the URL parser makes of it, whether or not its origin was seen before', () => {
  fc.assert(
    fc.property(fc.constantFrom(...origins), rest, (origin, end) => {
      // Seen before.
      expect(readAddress(`${origin}/`)?.href).toBe(`${origin}/`)
      const text = origin + end
      const url = URL.parse(text)
      const address = readAddress(text)
      if (address === undefined) {
        const isElsewhere = url?.port !== URL.parse(origin)?.port
        expect(url === null || url.username !== '' || url.password !== '' || isElsewhere).toBe(true)
        return
      }
      expect(address.href).toBe(url?.href)
      expect(address.place.origin).toBe(url?.origin)
      expect(address.place.isHttps).toBe(url?.protocol === 'https:')
    }),
    { numRuns: 3_000 },
  )
})

test('a relative address is resolved as the URL parser does it', () => {
  fc.assert(
    fc.property(fc.constantFrom(...origins, 'http://user@example.com/a/b?c'), rest, (base, text) => {
      for (const each of [text, `/${text}`, base + text])
        expect(resolveAddress(each, baseOf(base))).toBe(URL.parse(each, base)?.href ?? each)
    }),
    { numRuns: 1_000 },
  )
})

test('calls to one origin share what is known of it', () => {
  const [one, other] = [readAddress('http://localhost:3000/a?b=c'), readAddress('http://localhost:3000/d')]
  expect(one?.place).toBe(other?.place)
  expect(one?.place).toEqual({ origin: 'http://localhost:3000', isHttps: false, isTrustworthy: true })
})

test('more origins than are remembered are each read right', () => {
  for (let round = 0; round < 2; round++) {
    for (let host = 0; host < 20; host++) {
      const { href, place } = readAddress(`https://h${host}.example/x`) ?? {}
      expect([href, place?.origin]).toEqual([`https://h${host}.example/x`, `https://h${host}.example`])
    }
  }
})

test.each(['http://user@localhost/', 'http://localhost:6666/', 'ftp://localhost/', 'data:,x', '/path', ''])(
  '%j is not for the short lane',
  (text) => expect(readAddress(text)).toBeUndefined(),
)
