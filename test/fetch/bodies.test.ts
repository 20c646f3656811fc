/** Request bodies of every kind as the origin gets them. */
import { Readable } from 'node:stream'
import { expect } from 'vitest'
import { fact, fieldOf, same, type Scene } from '../support/lanes.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const bytes = new Uint8Array([0, 1, 2, 3, 4, 5])
const chunks = (...parts: string[]): Uint8Array[] => parts.map((part) => new TextEncoder().encode(part))
const streamOf = (...parts: string[]): ReadableStream =>
  new ReadableStream({
    start(controller) {
      for (const part of chunks(...parts)) controller.enqueue(part)
      controller.close()
    },
  })

const text = 'text/plain;charset=UTF-8'
const kinds: [
  what: string,
  body: (scene: Scene) => unknown,
  type: string[],
  length: string[],
  sent: string,
][] = [
  ['a string', () => 'ü', [text], ['2'], '\xc3\xbc'],
  ['an empty string', () => '', [text], ['0'], ''],
  ['a lone surrogate', () => '\ud800', [text], ['3'], '\xef\xbf\xbd'],
  ['a number', () => 7, [text], ['1'], '7'],
  ['an object', () => ({ a: 1 }), [text], ['15'], '[object Object]'],
  ['a Buffer', () => Buffer.from('ab'), [], ['2'], 'ab'],
  ['a view of a part', () => bytes.subarray(2, 4), [], ['2'], '\x02\x03'],
  ['a DataView of a part', () => new DataView(bytes.buffer, 1, 2), [], ['2'], '\x01\x02'],
  ['an ArrayBuffer', () => bytes.buffer.slice(0, 2), [], ['2'], '\x00\x01'],
  ['numbers of two bytes', () => new Uint16Array([0x0201]), [], ['2'], '\x01\x02'],
  ['an empty Uint8Array', () => new Uint8Array(0), [], ['0'], ''],
  ['a Blob without a type', () => new Blob(['ab']), [], ['2'], 'ab'],
  ['a Blob with a type', () => new Blob(['ab'], { type: 'A/B' }), ['a/b'], ['2'], 'ab'],
  ['a File', () => new File(['ab'], 'n', { type: 'a/b' }), ['a/b'], ['2'], 'ab'],
  [
    'URLSearchParams',
    () => new URLSearchParams({ 'a b': 'ü&' }),
    ['application/x-www-form-urlencoded;charset=UTF-8'],
    ['13'],
    'a+b=%C3%BC%26',
  ],
  ['a ReadableStream', () => streamOf('a', 'b'), [], [], 'ab'],
  ['a Readable', () => Readable.from(chunks('a', 'b')), [], [], 'ab'],
  [
    'an async generator',
    async function* () {
      yield* chunks('a', 'b')
    },
    [],
    [],
    'ab',
  ],
]
for (const [what, body, type, length, sent] of kinds) {
  fact(
    `${what} as body`,
    async (scene) => {
      const init = { method: 'POST', duplex: 'half', body: body(scene) }
      await (await scene.fetch(scene.url, init)).text()
      const [request] = scene.seen
      const framing = fieldOf(request, 'transfer-encoding')
      return [
        fieldOf(request, 'content-type'),
        fieldOf(request, 'content-length'),
        request?.body.toString('latin1'),
        // HTTP/2 has no chunks of its own.
        scene.url.startsWith('https:') ? length.length === 0 : framing.length > 0,
      ]
    },
    [type, length, sent, length.length === 0],
    { h2: true, globals: true },
  )
}

fact(
  'a form with a file is multipart, with a length',
  async ({ fetch, url, seen, FormData }) => {
    const form = new FormData()
    form.append('a"\n', 'x\ny')
    form.append('f', new Blob(['data'], { type: 'a/b' }), 'ü.txt')
    await (await fetch(url, { method: 'POST', body: form })).text()
    const [request] = seen
    return [
      fieldOf(request, 'content-type'),
      fieldOf(request, 'content-length').map(Number)[0] === request?.body.length,
      request?.body.toString().replaceAll(/formdata-undici-0\d+/g, 'B'),
    ]
  },
  [
    ['multipart/form-data; boundary=----formdata-undici-0'],
    true,
    '------B\r\nContent-Disposition: form-data; name="a%22%0D%0A"\r\n\r\nx\r\ny\r\n' +
      '------B\r\nContent-Disposition: form-data; name="f"; filename="ü.txt"\r\nContent-Type: a/b\r\n\r\ndata\r\n' +
      '------B--\r\n',
  ],
  { h2: true, globals: true },
)

fact(
  'a content-type of the caller takes the place of that of the body',
  async ({ fetch, url, seen }) => {
    await (
      await fetch(url, { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } })
    ).text()
    return fieldOf(seen[0], 'content-type')
  },
  ['application/json'],
  { h2: true },
)

const type = 'TypeError'
const refused = (message: unknown): object => ({ class: type, name: type, message })
const bad: [what: string, init: () => object, message: unknown][] = [
  [
    'a stream without duplex',
    () => ({ body: streamOf('a') }),
    'RequestInit: duplex option is required when sending a body.',
  ],
  [
    'another duplex',
    () => ({ body: 'a', duplex: 'full' }),
    expect.stringMatching(/full is not an accepted type/),
  ],
  ['a stream with keepalive', () => ({ body: streamOf('a'), duplex: 'half', keepalive: true }), 'keepalive'],
  [
    'a locked stream',
    () => {
      const body = streamOf('a')
      body.getReader()
      return { body, duplex: 'half' }
    },
    'Response body object should not be disturbed or locked',
  ],
]
for (const [what, init, message] of bad) {
  fact(`${what} is refused`, ({ tells, url }) => tells(url, { method: 'POST', ...init() }), refused(message))
}

same('a view of shared memory: the standard refuses it, undici sends it', async ({ tells, url, seen }) => [
  await tells(url, { method: 'POST', body: new Uint8Array(new SharedArrayBuffer(2)) }),
  seen.map(({ body }) => body),
])
same('shared memory itself', async ({ tells, url, seen }) => [
  await tells(url, { method: 'POST', body: new SharedArrayBuffer(2) }),
  seen.map(({ body }) => body),
])
same('an empty ReadableStream as body', async ({ tells, url, seen }) => [
  await tells(url, { method: 'POST', duplex: 'half', body: streamOf() }),
  seen[0]?.headers,
])

fact(
  'a stream that was read is refused',
  async ({ tells, url }) => {
    const body = streamOf('a', 'b')
    const reader = body.getReader()
    await reader.read()
    reader.releaseLock()
    return tells(url, { method: 'POST', duplex: 'half', body })
  },
  refused('Response body object should not be disturbed or locked'),
)

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.from('a')
  throw new RangeError('mine')
}

fact(
  'a body whose source fails is an error with that cause',
  ({ tells, url }) =>
    tells(url, {
      method: 'POST',
      duplex: 'half',
      body: Readable.from(failing()),
    }),
  {
    class: type,
    name: type,
    message: 'fetch failed',
    cause: { class: 'RangeError', name: 'RangeError', message: 'mine' },
  },
)

fact(
  'a response that comes before the body of the request has ended is given to the caller',
  async ({ fetch, url, answers }) => {
    answers((_, reply) => {
      reply.head(200)
      reply.write('early')
    })
    let end = (): void => {}
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from('first'))
        end = () => controller.close()
      },
    })
    const response = await fetch(url, { method: 'POST', duplex: 'half', body })
    const { value } = (await response.body?.getReader().read()) ?? {}
    end()
    return [response.status, Buffer.from(value ?? []).toString()]
  },
  [200, 'early'],
)
