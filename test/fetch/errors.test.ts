/** Failures of the network: which promise rejects, with what, and what the cause says. */
import { expect } from 'vitest'
import { fact, tell } from '../support/lanes.ts'
import type { Reply } from '../support/recorder.ts'
import { refused } from '../support/refused.ts'

const failed = (cause: object): object => ({
  class: 'TypeError',
  name: 'TypeError',
  message: 'fetch failed',
  cause: expect.objectContaining(cause),
})
const terminated = (cause: object): object => ({ ...failed(cause), message: 'terminated' })

fact(
  'nobody listens',
  async ({ tells }) => tells((await refused()).url),
  failed({
    class: 'Error',
    code: 'ECONNREFUSED',
    message: expect.stringMatching(/^connect ECONNREFUSED 127/),
  }),
)

fact(
  'a name that does not exist',
  ({ tells }) => tells('http://nobody.invalid/'),
  failed({ code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) }),
)

const noAnswer: [what: string, answer: (reply: Reply) => void, cause: object][] = [
  [
    'a connection that is closed',
    (reply) => reply.hangUp(),
    { code: 'UND_ERR_SOCKET', message: 'other side closed' },
  ],
  ['a connection that is reset', (reply) => reply.reset(), { code: 'ECONNRESET' }],
  ['no HTTP', (reply) => reply.raw('hello\r\n\r\n'), { class: 'HTTPParserError' }],
  ['a bad header', (reply) => reply.raw('HTTP/1.1 200 OK\r\na b: c\r\n\r\n'), { class: 'HTTPParserError' }],
  [
    'a bad length',
    (reply) => reply.raw('HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'),
    { class: 'HTTPParserError' },
  ],
  [
    'a head without an end',
    (reply) => {
      reply.raw('HTTP/1.1 200 OK\r\na: b\r\n')
      reply.hangUp()
    },
    { code: 'UND_ERR_SOCKET', message: 'other side closed' },
  ],
  [
    'a head that is too large',
    (reply) => reply.raw(`HTTP/1.1 200 OK\r\na: ${'x'.repeat(20_000)}\r\n\r\n`),
    { code: 'UND_ERR_HEADERS_OVERFLOW' },
  ],
]
for (const [what, answer, cause] of noAnswer) {
  fact(
    `${what} instead of an answer fails the call`,
    ({ tells, url, answers }) => {
      answers((_, reply) => answer(reply))
      return tells(url)
    },
    failed(cause),
  )
}

const short = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'
const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n'
/** Node 22 may hear of the end of the connection before it hears of its reset. */
const reset = { code: expect.stringMatching(/^(ECONNRESET|UND_ERR_SOCKET)$/) }
const broken: [what: string, begin: string, end: (reply: Reply) => void, cause: object][] = [
  [
    'shorter than declared',
    short,
    (reply) => reply.hangUp(),
    { code: 'UND_ERR_SOCKET', message: 'other side closed' },
  ],
  ['without its last chunk', chunked, (reply) => reply.hangUp(), { code: 'UND_ERR_SOCKET' }],
  ['reset', short, (reply) => reply.reset(), reset],
  ['reset between chunks', chunked, (reply) => reply.reset(), reset],
  ['with a bad chunk', chunked, (reply) => reply.raw('zz\r\n'), { class: 'HTTPParserError' }],
]
for (const [what, begin, end, cause] of broken) {
  fact(
    `a body ${what} fails whoever reads it, not the call`,
    async ({ fetch, url, answers }) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      answers(async (_, reply) => {
        reply.raw(begin)
        await promise
        end(reply)
      })
      const response = await fetch(url)
      const pending = response.text()
      resolve()
      return [response.status, await tell(pending), response.bodyUsed]
    },
    [200, terminated(cause), true],
  )

  fact(
    `a body ${what}: what came before can be read`,
    async ({ fetch, url, answers }) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      answers(async (_, reply) => {
        reply.raw(begin)
        await promise
        end(reply)
      })
      const reader = (await fetch(url)).body?.getReader()
      const first = await reader?.read()
      resolve()
      const [second, closed] = await Promise.all([
        reader === undefined ? undefined : tell(reader.read()),
        reader === undefined ? undefined : tell(reader.closed),
      ])
      return [Buffer.from(first?.value ?? []).toString(), second, closed]
    },
    ['abc', terminated(cause), terminated(cause)],
  )
}

fact(
  'a body of HTTP/2 that is reset fails whoever reads it',
  async ({ fetch, url, answers }) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    answers(async (_, reply) => {
      reply.head(200)
      reply.write('abc')
      await promise
      reply.reset()
    })
    const reader = (await fetch(url)).body?.getReader()
    await reader?.read()
    resolve()
    return reader === undefined ? undefined : tell(reader.read())
  },
  expect.objectContaining({ class: 'TypeError', message: 'terminated' }),
  { h2: 'only' },
)

fact(
  'a failed call leaves the next one alone',
  async ({ tells, url, answers, fetch }) => {
    answers((_, reply) => reply.reset())
    const told = (await tells(url)) as Error
    answers((_, reply) => reply.send(200, [], 'ok'))
    return [told.message, await (await fetch(url)).text()]
  },
  ['fetch failed', 'ok'],
)

for (const port of [1, 22, 25, 6000, 6667, 10080]) {
  fact(
    `port ${port} is blocked`,
    ({ tells }) => tells(`http://127.0.0.1:${port}/`),
    failed({ message: 'bad port' }),
  )
}
