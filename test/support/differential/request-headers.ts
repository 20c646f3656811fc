/** Request headers: odd but legal ones, and rarely one that is refused. */
import fc from 'fast-check'

type Pairs = [string, string][]

export interface HeadersSpec {
  readonly as: 'object' | 'Headers' | 'pairs'
  readonly list: Pairs
}

const headerName = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[a-zA-Z][\w!#$%&'*+.^`|~-]{0,8}$/).map((name) => `x${name}`) },
  fc.constantFrom(
    'Accept',
    'ACCEPT-LANGUAGE',
    'user-agent',
    'content-type',
    'Accept-Encoding',
    'authorization',
  ),
  fc.constantFrom(
    'cookie',
    'Set-Cookie',
    'origin',
    'Referer',
    'range',
    'if-none-match',
    'Cache-Control',
    'pragma',
  ),
  fc.constantFrom(
    'te',
    'host',
    'date',
    'Content-Encoding',
    'content-language',
    'content-location',
    'via',
    'dnt',
  ),
)
const headerValue = fc.oneof(
  { weight: 3, arbitrary: fc.stringMatching(/^[\x21-\x7e]{0,12}$/) },
  fc.constantFrom(
    '',
    ' ',
    '\tpadded ',
    'a, b',
    'a;q=0.1,b',
    '"quoted, text"',
    'é',
    '\u00ff\u0080',
    'a\tb',
    '__proto__',
  ),
  fc.constantFrom('gzip', 'identity', 'bytes=0-1', '*/*', 'text/plain', 'multipart/form-data; boundary=x'),
)
/** Those that fetch or undici refuse, or that steer the connection. */
const rareHeader: fc.Arbitrary<[string, string]> = fc.constantFrom<[string, string][]>(
  ...([
    ['content-length', 'x'],
    ['transfer-encoding', 'chunked'],
    ['connection', 'close'],
    ['connection', 'x-a'],
    ['expect', '100-continue'],
    ['upgrade', 'x'],
    ['keep-alive', 'timeout=5'],
    ['bad name', 'x'],
    ['', 'x'],
    ['x', 'a\nb'],
    ['x', 'a\u0000'],
    ['x', '日本'],
    ['x\u00e9', 'a'],
    ['Sec-Fetch-Mode', 'navigate'],
  ] satisfies Pairs),
)
export const headersSpec: fc.Arbitrary<HeadersSpec> = fc.record({
  as: fc.constantFrom('object' as const, 'Headers' as const, 'pairs' as const),
  list: fc.array(
    fc.oneof(
      { weight: 12, arbitrary: fc.tuple(headerName, headerValue) },
      { weight: 1, arbitrary: rareHeader },
    ),
    { maxLength: 5 },
  ),
})
