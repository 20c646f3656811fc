/** Answers as plain data, and the script that gives them byte by byte. */
import zlib from 'node:zlib'
import fc from 'fast-check'
import type { Reply } from '../recorder.ts'

export interface HopSpec {
  readonly status: number
  readonly location: string | undefined
  /** Of another origin, of this one, or nothing before the location. */
  readonly base: 'other' | 'here' | ''
  readonly body: string
}

export interface AnswerSpec {
  readonly hops: readonly HopSpec[]
  readonly early: readonly number[]
  readonly status: number
  readonly reason: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Uint8Array
  readonly codings: readonly string[]
  readonly damage: 'none' | 'corrupt' | 'cut'
  readonly framing: 'length' | 'chunked' | 'close' | 'length, short' | 'chunked, short'
  /** The rest comes only when the caller has the response: whoever waits for the end of the body before it answers hangs. */
  readonly isHeld: boolean
}

const location = fc.oneof(
  fc.constantFrom(
    'next',
    '/abs?x=1',
    '/abs#frag',
    '?q',
    '#f',
    '',
    '../up',
    '/a b',
    '/\u00fc',
    '/\u00c3\u00bc',
    './%zz',
  ),
  fc.constantFrom('//[bad', 'http://[', 'ftp://x.test/', 'data:,x', 'http://u:p@127.0.0.1:1/', undefined),
)
/** A redirect without a location has no body here: `test/fetch/beyond-undici.test.ts` has what becomes of one. */
const hop: fc.Arbitrary<HopSpec> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      status: fc.constantFrom(301, 302, 303, 307, 308),
      location: fc.constantFrom('/next', '/a?b=c', '/d#e', '/x'),
      base: fc.constantFrom('', 'here', 'other'),
      body: fc.constantFrom('', 'moved', 'x'.repeat(40_000)),
    }),
  },
  fc
    .record({
      status: fc.constantFrom(301, 302, 303, 307, 308, 300, 305, 304),
      location,
      base: fc.constantFrom('' as const),
      body: fc.constantFrom('', 'moved'),
    })
    .map((each) => (each.location === undefined ? { ...each, body: '' } : each)),
) as fc.Arbitrary<HopSpec>
/** Around the limit of 20, all alike. */
const manyHops = fc
  .tuple(fc.integer({ min: 19, max: 22 }), fc.constantFrom(301, 303, 307))
  .map(([count, status]): HopSpec[] =>
    Array.from({ length: count }, () => ({ status, location: '/again', base: '', body: '' })),
  )
const hops = fc.oneof(
  { weight: 12, arbitrary: fc.constant([]) },
  { weight: 8, arbitrary: fc.array(hop, { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: manyHops },
)

const fieldName = fc.oneof(
  fc.stringMatching(/^[a-zA-Z][\w!#$&'*+.^`|~-]{0,8}$/).map((name) => `X${name}`),
  fc.constantFrom(
    'Content-Type',
    'content-type',
    'ETag',
    'x-dup',
    'X-Dup',
    'Set-Cookie',
    'set-cookie',
    'Link',
  ),
  fc.constantFrom(
    'Connection',
    'Keep-Alive',
    'Vary',
    'Date',
    'WWW-Authenticate',
    'Location',
    'Content-Range',
  ),
)
const fieldValue = fc.oneof(
  fc.stringMatching(/^[\x21-\x7e]{0,12}$/),
  fc.constantFrom('', 'a, b', 'id=1; Path=/', '\u00fc\u0080', 'a\tb', '"x"', '*', 'timeout=5'),
  fc.constantFrom('text/plain', 'TEXT/HTML; Charset="utf-8"', 'application/json', 'bad', 'a/b;c=d, e/f'),
  fc.constantFrom('multipart/form-data; boundary=b', 'application/x-www-form-urlencoded'),
)

const multipart =
  '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' +
  '--b\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n'
const body = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc
    .constantFrom('', 'x', '{"a":[1,"ü"]}', '\ufeff{"bom":1}', 'a=b&c=d+e', multipart, '{bad', 'ü😀')
    .map((text) => {
      return new Uint8Array(Buffer.from(text))
    }),
  fc
    .constantFrom(70_000, 300_000)
    .map((length) => new Uint8Array(length).map((_, i) => (i * 31 + (i >> 8)) & 0xff)),
)

const anyAnswer: fc.Arbitrary<AnswerSpec> = fc.record({
  hops,
  early: fc.oneof({ weight: 6, arbitrary: fc.constant([]) }, fc.constantFrom([100], [103], [102, 103])),
  status: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(200, 200, 200, 201, 206, 404, 500) },
    fc.constantFrom(202, 203, 204, 205, 207, 226, 299, 300, 304, 400, 401, 403, 407, 410, 412, 416, 418, 421),
    fc.constantFrom(429, 503, 599, 600, 999),
  ),
  reason: fc.constantFrom('OK', '', 'Not quite', 'a  b', '\u00e9t\u00e9'),
  headers: fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 5 }),
  body,
  codings: fc.oneof(
    { weight: 8, arbitrary: fc.constant([]) },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        ['gzip'],
        ['x-gzip'],
        ['GZIP'],
        ['deflate'],
        ['raw deflate'],
        ['br'],
        ['zstd'],
      ),
    },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        ['unknown'],
        ['identity'],
        ['gzip', 'br'],
        ['br', 'x'],
        ['deflate', 'zstd', 'gzip'],
        [''],
      ),
    },
    fc.constant(Array.from({ length: 6 }, () => 'gzip')),
  ),
  damage: fc.constantFrom('none', 'none', 'none', 'corrupt', 'cut'),
  framing: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('length' as const, 'chunked' as const) },
    fc.constantFrom('close' as const, 'length, short' as const, 'chunked, short' as const),
  ),
  isHeld: fc.boolean(),
})

/** A body cut off on the wire has no coding: how much of it is decoded before the error is a race. */
export const answerSpec: fc.Arbitrary<AnswerSpec> = anyAnswer.map((spec) =>
  spec.framing.endsWith('short') ? { ...spec, codings: [] } : spec,
)

const coders: Record<string, (bytes: Uint8Array) => Buffer> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  'x-gzip': (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  'raw deflate': (bytes) => zlib.deflateRawSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
  zstd: (bytes) => zlib.zstdCompressSync(bytes),
}

/** The bytes between the head and the end of a body. */
function encoded({ body, codings, damage }: AnswerSpec): Buffer {
  let bytes: Buffer = Buffer.from(body)
  for (const coding of codings) bytes = coders[coding.toLowerCase()]?.(bytes) ?? bytes
  if (damage === 'none' || codings.length === 0 || bytes.length < 8) return bytes
  if (damage === 'cut') return bytes.subarray(0, bytes.length - 4)
  // In the header of the coding, where every decoder looks.
  const corrupt = Buffer.from(bytes)
  corrupt.fill(0xfe, 0, 6)
  return corrupt
}

const crlf = (lines: readonly string[]): string => [...lines, '', ''].join('\r\n')

export function sendHop(spec: HopSpec, reply: Reply, here: string, other: string): void {
  const base = { here, other, '': '' }[spec.base]
  const hasNoBody = spec.status === 304
  reply.raw(
    crlf([
      `HTTP/1.1 ${spec.status} Moved`,
      ...(spec.location === undefined ? [] : [`Location: ${base}${spec.location}`]),
      `Content-Length: ${hasNoBody ? 0 : spec.body.length}`,
    ]),
  )
  if (!hasNoBody) reply.raw(spec.body)
}

/** Sends the answer; what comes after the first part waits for `released` if the spec says so. */
export async function sendAnswer(
  spec: AnswerSpec,
  reply: Reply,
  method: string,
  released: Promise<void>,
): Promise<void> {
  const { framing, status } = spec
  for (const early of spec.early) reply.raw(crlf([`HTTP/1.1 ${early} Early`, 'Link: </x>']))
  const bytes = encoded(spec)
  const isShort = framing.endsWith('short')
  const isChunked = framing.startsWith('chunked')
  const coding = spec.codings.map((name) => (name === 'raw deflate' ? 'deflate' : name)).join(', ')
  const hasNoBody = status === 204 || status === 304 || method === 'HEAD'
  reply.raw(
    crlf([
      `HTTP/1.1 ${status} ${spec.reason}`,
      ...spec.headers.map(([name, value]) => `${name}: ${value}`),
      ...(spec.codings.length === 0 ? [] : [`Content-Encoding: ${coding}`]),
      ...(isChunked ? ['Transfer-Encoding: chunked'] : []),
      ...(framing.startsWith('length') ? [`Content-Length: ${bytes.length + (isShort ? 3 : 0)}`] : []),
    ]),
  )
  const frame = (part: Buffer): Buffer =>
    isChunked && part.length > 0
      ? Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')])
      : part
  const half = (bytes.length + 1) >> 1
  if (!hasNoBody) reply.raw(frame(bytes.subarray(0, half)))
  // An error in the same packet as the head is a race of undici's own: it may come before the response or after it.
  // 421 never reaches the caller, who could release it: fetch asks again.
  if (!hasNoBody && status !== 421 && (spec.isHeld || isShort)) await released
  if (!hasNoBody) reply.raw(frame(bytes.subarray(half)))
  if (isChunked && !isShort && !hasNoBody) reply.raw('0\r\n\r\n')
  if (isShort || framing === 'close') reply.hangUp()
}
