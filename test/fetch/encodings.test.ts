/** Content codings: what is decoded, what is left alone, and what damage does. */
import zlib from 'node:zlib'
import { expect } from 'vitest'
import { fact, tell } from '../support/lanes.ts'
import { sends } from '../support/recorder.ts'

const text = 'The quick brown fox. '.repeat(500)
const coders: Record<string, (bytes: Buffer) => Buffer> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  'x-gzip': (bytes) => zlib.gzipSync(bytes),
  GZip: (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes),
  zstd: (bytes) => zlib.zstdCompressSync(bytes),
  'gzip, br': (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes)),
  ' deflate ,gzip': (bytes) => zlib.gzipSync(zlib.deflateSync(bytes)),
}

for (const [name, encode] of Object.entries(coders)) {
  fact(
    `${name} is decoded, and its headers stay`,
    async ({ fetch, url, answers }) => {
      const coded = encode(Buffer.from(text))
      answers(sends(200, [['content-encoding', name.trim()]], coded))
      const response = await fetch(url)
      const { headers } = response
      const length = Number(headers.get('content-length')) === coded.length
      return [(await response.text()) === text, headers.get('content-encoding'), length]
    },
    [true, name.trim(), true],
    { h2: true },
  )
}

fact(
  'deflate without its zlib wrapping is decoded, too',
  async ({ fetch, url, answers }) => {
    answers(sends(200, [['content-encoding', 'deflate']], zlib.deflateRawSync(text)))
    return (await (await fetch(url)).text()) === text
  },
  true,
  { h2: true },
)

for (const name of ['identity', 'unknown', 'gzip, unknown', 'unknown, gzip', '']) {
  fact(
    `${JSON.stringify(name)} is left alone`,
    async ({ fetch, url, answers }) => {
      answers(sends(200, [['content-encoding', name]], 'as it is'))
      return (await fetch(url)).text()
    },
    'as it is',
  )
}

fact(
  'more than five codings are refused',
  ({ tells, url, answers }) => {
    answers(sends(200, [['content-encoding', 'gzip,gzip,gzip,gzip,gzip,gzip']], 'x'))
    return tells(url)
  },
  {
    class: 'TypeError',
    name: 'TypeError',
    message: 'fetch failed',
    cause: {
      class: 'Error',
      name: 'Error',
      message: 'too many content-encodings in response: 6, maximum allowed is 5',
    },
  },
)

for (const [name, code] of [
  ['gzip', 'Z_DATA_ERROR'],
  ['deflate', 'Z_DATA_ERROR'],
  ['br', expect.stringMatching(/^ERR_/)],
  ['zstd', expect.stringMatching(/^ZSTD_/)],
] as const) {
  fact(
    `corrupt ${name} is an error with the decoder's cause`,
    async ({ fetch, url, answers }) => {
      answers(sends(200, [['content-encoding', name]], Buffer.alloc(64, 0xfe)))
      return tell((await fetch(url)).text())
    },
    {
      class: 'TypeError',
      name: 'TypeError',
      message: 'terminated',
      cause: expect.objectContaining({ code }),
    },
    { h2: true },
  )
}

for (const name of ['gzip', 'deflate']) {
  fact(
    `${name} that ends early gives what it has: the framing says it is whole`,
    async ({ fetch, url, answers }) => {
      const coded = (coders[name] as (typeof coders)[string])(Buffer.from(text))
      answers(sends(200, [['content-encoding', name]], coded.subarray(0, -4)))
      return (await (await fetch(url)).text()) === text
    },
    true,
  )
}

for (const name of ['gzip', 'deflate', 'br']) {
  fact(
    `an empty body of coding ${name} is empty`,
    async ({ fetch, url, answers }) => {
      answers(sends(200, [['content-encoding', name]]))
      return tell((await fetch(url)).text())
    },
    { value: '' },
  )
}

fact(
  'what has been decoded is handed on before the rest is sent',
  async ({ fetch, url, answers }) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    answers(async (_, reply) => {
      const gzip = zlib.createGzip()
      reply.head(200, [['content-encoding', 'gzip']])
      gzip.on('data', (bytes: Buffer) => reply.write(bytes))
      gzip.write('first')
      gzip.flush()
      await promise
      gzip.on('end', () => reply.end()).end('second')
      await reply.gone
    })
    const reader = (await fetch(url)).body?.getReader()
    const first = await reader?.read()
    resolve()
    const rest: Uint8Array[] = []
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read())
      rest.push(next.value)
    return [Buffer.from(first?.value ?? []).toString(), Buffer.concat(rest).toString()]
  },
  ['first', 'second'],
  { h2: true },
)
