/** Request headers as they reach the origin, and response headers as they reach the caller. */
import { expect, test } from 'vitest'
import { fact, fieldOf, play, type Scene, tellResponse } from '../support/lanes.ts'
import { sends } from '../support/recorder.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const names = ({ seen }: Scene): string[][] =>
  seen.map(({ headers }) => headers.map(([name, value]) => `${name}: ${value}`))

fact(
  'the default headers, in their order',
  async (scene) => {
    await (await scene.fetch(scene.url)).text()
    return names(scene)
  },
  [
    [
      'host: 127.0.0.1:a',
      'connection: keep-alive',
      'accept: */*',
      'accept-language: *',
      'sec-fetch-mode: cors',
      'user-agent: undici',
      'accept-encoding: gzip, deflate',
    ],
  ],
  { globals: true },
)

fact(
  'headers of the caller keep their case and order and take the place of defaults',
  async (scene) => {
    await (
      await scene.fetch(scene.url, {
        headers: { 'X-B': '1', ACCEPT: 'a/b', 'x-a': ' 2 ', 'User-Agent': 'me', 'Accept-Language': 'de' },
      })
    ).text()
    return names(scene)
  },
  [
    [
      'host: 127.0.0.1:a',
      'connection: keep-alive',
      'X-B: 1',
      'ACCEPT: a/b',
      'x-a: 2',
      'User-Agent: me',
      'Accept-Language: de',
      'sec-fetch-mode: cors',
      'accept-encoding: gzip, deflate',
    ],
  ],
)

fact(
  'repeated names are joined, cookies with a semicolon; a Set-Cookie is no different',
  async (scene) => {
    const headers = [
      ['X-A', '1'],
      ['x-a', '2'],
      ['cookie', 'a=1'],
      ['Cookie', 'b=2'],
      ['set-cookie', 'c=3'],
      ['set-cookie', 'd=4'],
    ]
    await (await scene.fetch(scene.url, { headers })).text()
    return ['x-a', 'cookie', 'set-cookie'].map((name) => fieldOf(scene.seen[0], name))
  },
  [['1, 2'], ['a=1; b=2'], ['c=3, d=4']],
)

const given: [what: string, init: object, name: string, sent: string[]][] = [
  ['a range asks for identity', { headers: { range: 'bytes=0-1' } }, 'accept-encoding', ['identity']],
  ['accept-encoding of the caller', { headers: { 'accept-encoding': 'br' } }, 'accept-encoding', ['br']],
  ['no-store forbids caches', { cache: 'no-store' }, 'cache-control', ['no-cache']],
  ['no-store forbids old caches', { cache: 'no-store' }, 'pragma', ['no-cache']],
  ['reload forbids caches', { cache: 'reload' }, 'cache-control', ['no-cache']],
  ['no-cache asks for validation', { cache: 'no-cache' }, 'cache-control', ['max-age=0']],
  ['a condition turns caches off', { headers: { 'if-none-match': '"a"' } }, 'pragma', ['no-cache']],
  ['force-cache says nothing', { cache: 'force-cache' }, 'cache-control', []],
  ['mode is sent', { mode: 'same-origin' }, 'sec-fetch-mode', ['same-origin']],
  ['mode no-cors is sent', { mode: 'no-cors' }, 'sec-fetch-mode', ['no-cors']],
  [
    'the referrer is cut to its origin elsewhere',
    { referrer: 'https://r.test/x?y' },
    'referer',
    ['https://r.test/'],
  ],
  ['an empty referrer is none', { referrer: '' }, 'referer', []],
  ['no-referrer is none', { referrer: 'https://r.test/', referrerPolicy: 'no-referrer' }, 'referer', []],
  ['a host of the caller is not sent', { headers: { host: 'x.test' } }, 'host', ['127.0.0.1:a']],
  ['a value of Latin-1', { headers: { 'x-a': 'é' } }, 'x-a', ['é']],
  ['an empty value', { headers: { 'x-a': '' } }, 'x-a', ['']],
  ['authorization', { headers: { authorization: 'Bearer x' } }, 'authorization', ['Bearer x']],
  ['connection: close', { headers: { connection: 'close' } }, 'connection', ['close']],
  ['POST without a body has a length', { method: 'POST' }, 'content-length', ['0']],
  ['PUT without a body has a length', { method: 'PUT' }, 'content-length', ['0']],
  ['DELETE without a body has none', { method: 'DELETE' }, 'content-length', []],
]
for (const [what, init, name, sent] of given) {
  fact(
    `${what} (${name})`,
    async ({ fetch, url, seen }) => {
      await (await fetch(url, init)).text()
      return fieldOf(seen[0], name)
    },
    sent,
  )
}

fact(
  'over HTTP/2 names are in lower case, and more codings are offered',
  async (scene) => {
    await (await scene.fetch(scene.url, { headers: { 'X-B': '1' } })).text()
    return names(scene)
  },
  [
    [
      ':authority: localhost:a',
      ':scheme: https',
      'x-b: 1',
      'accept: */*',
      'accept-language: *',
      'sec-fetch-mode: cors',
      'user-agent: undici',
      'accept-encoding: br, gzip, deflate, zstd',
    ],
  ],
  { h2: 'only' },
)

const type = 'TypeError'
const refused: [what: string, headers: unknown, message: string, cause?: unknown][] = [
  ['a space in a name', { 'a b': 'x' }, 'Headers.append: "a b" is an invalid header name.'],
  ['an empty name', [['', 'x']], 'Headers.append: "" is an invalid header name.'],
  ['a line break in a value', { a: 'x\ny' }, 'Headers.append: "x\ny" is an invalid header value.'],
  ['a NUL in a value', { a: 'x\0' }, 'Headers.append: "x\0" is an invalid header value.'],
  ['a pair of one', [['a']], 'Headers constructor: expected name/value pair to be length 2, found 1.'],
]
for (const [what, headers, message] of refused) {
  fact(`${what} is refused`, ({ tells, url }) => tells(url, { headers }), {
    class: type,
    name: type,
    message,
  })
}

for (const [name, value] of [
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'x'],
  ['keep-alive', 'timeout=1'],
  ['content-length', 'x'],
] as const) {
  fact(
    `${name}: ${value} is refused by the wire`,
    ({ tells, url }) => tells(url, { headers: { [name]: value } }),
    {
      class: type,
      name: type,
      message: 'fetch failed',
      cause: {
        class: 'InvalidArgumentError',
        name: 'InvalidArgumentError',
        message: `invalid ${name} header`,
        code: 'UND_ERR_INVALID_ARG',
      },
    },
  )
}

fact(
  'response headers are sorted and joined; every Set-Cookie is one of its own',
  async ({ fetch, url, answers }) => {
    answers(
      sends(201, [
        ['X-B', '1'],
        ['Set-Cookie', 'a=1'],
        ['x-b', '2'],
        ['A', ''],
        ['set-cookie', 'b=2, c'],
      ]),
    )
    const { headers } = await fetch(url)
    const all = [...headers].filter(([name]) => name !== 'date')
    return [all, headers.getSetCookie(), headers.get('X-b'), headers.has('set-COOKIE')]
  },
  [
    [
      ['a', ''],
      ['content-length', '0'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2, c'],
      ['x-b', '1, 2'],
    ],
    ['a=1', 'b=2, c'],
    '1, 2',
    true,
  ],
  { h2: true },
)

fact(
  'response headers are not to be changed',
  async ({ fetch, url }) => {
    const { headers } = await fetch(url)
    try {
      headers.set('a', 'b')
      return 'changed'
    } catch (error) {
      return String(error)
    }
  },
  'TypeError: immutable',
)

test('a response of Latin-1 in its head is told as undici tells it', async () => {
  const scenario = async ({ fetch, url, answers }: Scene): Promise<unknown> => {
    answers((_, reply) => reply.raw('HTTP/1.1 200 \xe9t\xe9\r\nx-a: \xfc\x80\r\ncontent-length: 0\r\n\r\n'))
    return tellResponse(await fetch(url))
  }
  const expected = await play('undici', 'HTTP/1.1', scenario)
  expect(expected).toMatchObject({
    status: 200,
    headers: [
      ['content-length', '0'],
      ['x-a', 'ü\x80'],
    ],
  })
  expect(await play('client', 'HTTP/1.1', scenario)).toEqual(expected)
})
