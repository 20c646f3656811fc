/** The Response itself: null bodies, reading once, clones, streams, and what it is an instance of. */
import * as undici from 'undici'
import { expect } from 'vitest'
import { fact, same, tell, tellError } from '../support/lanes.ts'
import { sends } from '../support/recorder.ts'

const type = 'TypeError'
const unusable = { class: type, name: type, message: 'Body is unusable: Body has already been read' }

for (const status of [204, 205, 304]) {
  fact(
    `${status} has no body`,
    async ({ fetch, url, answers }) => {
      answers(sends(status, [['content-encoding', 'gzip']]))
      const response = await fetch(url)
      const copy = response.clone()
      return [
        response.status,
        response.body,
        await response.text(),
        await response.text(),
        response.bodyUsed,
        copy.body,
      ]
    },
    [status, null, '', '', false, null],
    { h2: true },
  )
}

for (const status of [200, 201, 299, 300, 404, 418, 500, 599]) {
  fact(
    `${status} is ${status < 300 ? 'ok' : 'not ok'}, and no error`,
    async ({ fetch, url, answers }) => {
      answers(sends(status, [], 'x', 'Reason Why'))
      const response = await fetch(`${url}/p#f`)
      const { ok, statusText, url: end, redirected, type, bodyUsed } = response
      return [response.status, ok, statusText, end, redirected, type, bodyUsed, await response.text()]
    },
    [status, status < 300, 'Reason Why', 'http://127.0.0.1:a/p', false, 'basic', false, 'x'],
  )
}

fact(
  'informational answers are passed over',
  async ({ fetch, url, answers }) => {
    answers((_, reply) => {
      reply.raw('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n')
      reply.send(200, [], 'ok')
    })
    const response = await fetch(url)
    return [response.status, response.headers.has('link'), await response.text()]
  },
  [200, false, 'ok'],
)

same('a 100 nobody asked for', ({ tells, url, answers }) => {
  answers((_, reply) => {
    reply.raw('HTTP/1.1 100 Continue\r\n\r\n')
    reply.send(200, [], 'ok')
  })
  return tells(url)
})

fact(
  'the response is here before its body',
  async ({ fetch, url, answers }) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    answers(async (_, reply) => {
      reply.head(200)
      // Whoever waits for the body never gets it.
      await promise
      reply.write('late')
      reply.end()
    })
    const response = await fetch(url)
    resolve()
    return response.text()
  },
  'late',
  { h2: true },
)

for (const how of ['text', 'json', 'bytes', 'arrayBuffer', 'blob', 'formData'] as const) {
  fact(
    `${how}() after a body was read is refused, and so is clone()`,
    async ({ fetch, url }) => {
      const response = await fetch(url)
      await response.text()
      return [await tell(response[how]()), message(() => response.clone()), response.bodyUsed]
    },
    [unusable, expect.stringMatching(/^TypeError: Response.clone: Body has already been consumed/), true],
  )
}

const message = (run: () => unknown): string => {
  try {
    run()
    return 'nothing thrown'
  } catch (error) {
    return String(error)
  }
}

fact(
  'a locked body is not used, but cannot be read',
  async ({ fetch, url }) => {
    const response = await fetch(url)
    const reader = response.body?.getReader()
    const before = [response.bodyUsed, response.body?.locked, await tell(response.text())]
    reader?.releaseLock()
    return [...before, await response.text()]
  },
  [false, true, unusable, 'ok'],
)

fact(
  'a cancelled body is used',
  async ({ fetch, url }) => {
    const response = await fetch(url)
    await response.body?.cancel('why')
    return [response.bodyUsed, await tell(response.text())]
  },
  [true, unusable],
  { h2: true },
)

fact(
  'both copies of a cloned response are whole',
  async ({ fetch, url, answers }) => {
    answers(sends(201, [['x-a', '1']], 'x'.repeat(200_000)))
    const response = await fetch(url)
    const copy = response.clone()
    copy.headers.get('x-a')
    const [a, b] = await Promise.all([response.text(), copy.text()])
    return [a.length, a === b, copy.status, copy.url, copy.headers.get('x-a'), copy.type, copy.bodyUsed]
  },
  [200_000, true, 201, expect.stringMatching(/:a\/$/), '1', 'basic', true],
  { h2: true },
)

fact(
  'a clone of a clone, read last to first',
  async ({ fetch, url }) => {
    const first = await fetch(url)
    const second = first.clone()
    const third = second.clone()
    return [await third.text(), await second.text(), await first.text()]
  },
  ['ok', 'ok', 'ok'],
)

fact(
  'a reader with a buffer of its own',
  async ({ fetch, url, answers }) => {
    answers(sends(200, [], 'abcdef'))
    const reader = (await fetch(url)).body?.getReader({ mode: 'byob' })
    const parts: string[] = []
    for (;;) {
      const next = await reader?.read(new Uint8Array(4))
      if (next?.done !== false) return [parts.join(''), next?.value?.length]
      parts.push(Buffer.from(next.value).toString())
    }
  },
  ['abcdef', 0],
)

fact(
  'body is always the same stream, of bytes',
  async ({ fetch, url }) => {
    const response = await fetch(url)
    const { body } = response
    const chunks: unknown[] = []
    for await (const chunk of body as AsyncIterable<unknown>) chunks.push(chunk)
    return [
      body === response.body,
      body instanceof ReadableStream,
      chunks.every((each) => each instanceof Uint8Array),
    ]
  },
  [true, true, true],
)

fact(
  'a Response is a Response',
  async ({ fetch, url }) => {
    const response = await fetch(url)
    const { prototype } = Object.getPrototypeOf(response).constructor as typeof Response
    return [
      Object.prototype.toString.call(response),
      response.constructor.name,
      // Of undici's fetch it is undici's; whichever class it is, its statics are there.
      response instanceof undici.Response || response instanceof globalThis.Response,
      ['json', 'error', 'redirect'].map((name) => name in response.constructor),
      'text' in prototype,
      await new globalThis.Response(response.body as ReadableStream).text(),
    ]
  },
  ['[object Response]', 'Response', true, [true, true, true], true, 'ok'],
)

fact(
  'methods taken off a Response need it',
  async ({ fetch, url }) => {
    const response = await fetch(url)
    // oxlint-disable-next-line typescript/unbound-method
    const { text } = response
    const outcome = await (text as () => Promise<unknown>)().then(() => 'read', tellError)
    await response.text()
    return outcome
  },
  { class: type, name: type, message: 'Illegal invocation', code: 'ERR_INVALID_THIS' },
)

const ofOk = 'sha256-Jok2eyBcFs4y7UIAlCuLix4mLfxw2byfvHfElpmk8d8='
const ofNothing = 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
for (const [integrity, matches] of [
  ['', true],
  ['unknown-x', true],
  [ofOk, true],
  [`${ofNothing} ${ofOk}`, true],
  [ofNothing, false],
  [`sha384-x ${ofOk}`, false],
] as const) {
  fact(
    `integrity ${JSON.stringify(integrity)} ${matches ? 'matches' : 'does not match'}`,
    ({ fetch, url }) => fetch(url, { integrity }).then((response) => response.text(), tellError),
    matches
      ? 'ok'
      : {
          class: type,
          name: type,
          message: 'fetch failed',
          cause: { class: 'Error', name: 'Error', message: 'integrity mismatch' },
        },
    { h2: true },
  )
}
