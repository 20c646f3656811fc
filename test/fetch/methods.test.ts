/** Methods as they reach the origin, and those that never do. */
import { expect, test } from 'vitest'
import { fact, fieldOf, play, type Scene, tell } from '../support/lanes.ts'

const rows: [given: string, sent: string][] = [
  ...['get', 'Get', 'delete', 'head', 'options', 'post', 'put'].map((name): [string, string] => [
    name,
    name.toUpperCase(),
  ]),
  ['PATCH', 'PATCH'],
  // The standard normalises six methods, and patch is none of them.
  ['patch', 'patch'],
  ['Patch', 'Patch'],
  ['QUERY', 'QUERY'],
  ['X-Custom', 'X-Custom'],
  ['x!', 'x!'],
]

for (const [given, sent] of rows) {
  fact(
    `${given} is sent as ${sent}`,
    async ({ fetch, url, seen }) => {
      const response = await fetch(url, { method: given })
      await response.text()
      return [seen.map(({ method }) => method), response.status]
    },
    [[sent], 200],
    { h2: true },
  )
}

for (const method of ['CONNECT', 'connect', 'TRACE', 'Trace', 'TRACK', 'track']) {
  fact(`${method} is forbidden`, async ({ tells, url, seen }) => [await tells(url, { method }), seen], [
    { class: 'TypeError', name: 'TypeError', message: `'${method}' HTTP method is unsupported.` },
    [],
  ])
}

for (const method of ['', 'A B', 'A\n', 'é', '(']) {
  fact(
    `${JSON.stringify(method)} is no method`,
    async ({ tells, url, seen }) => [await tells(url, { method }), seen],
    [{ class: 'TypeError', name: 'TypeError', message: `'${method}' is not a valid HTTP method.` }, []],
  )
}

for (const method of ['GET', 'HEAD', 'get', 'head']) {
  for (const body of ['x', '']) {
    fact(
      `${method} with the body ${JSON.stringify(body)} is refused`,
      ({ tells, url }) => tells(url, { method, body }),
      { class: 'TypeError', name: 'TypeError', message: 'Request with GET/HEAD method cannot have body.' },
    )
  }
}

fact(
  'HEAD has the headers of the body, and no body',
  async ({ fetch, url, answers }) => {
    answers((_, reply) => reply.head(200, [['content-length', '1000']]))
    const response = await fetch(url, { method: 'HEAD' })
    return [response.body, response.headers.get('content-length'), await response.text(), response.bodyUsed]
  },
  [null, '1000', '', false],
)

fact(
  'HEAD of a coded body does not look for its bytes',
  async ({ fetch, url, answers }) => {
    answers((_, reply) =>
      reply.head(200, [
        ['content-encoding', 'gzip'],
        ['content-length', '20'],
      ]),
    )
    return tell((await fetch(url, { method: 'HEAD' })).text())
  },
  { value: '' },
)

test('HEAD keeps its connection, which undici closes: an intended difference', async () => {
  const scenario = async ({ fetch, url, seen }: Scene): Promise<unknown> => {
    await fetch(url, { method: 'HEAD' })
    await fetch(url, { method: 'HEAD' })
    return seen.map((request) => [fieldOf(request, 'connection')[0], request.connection])
  }
  expect(await play('undici', 'HTTP/1.1', scenario)).toEqual([
    ['close', 0],
    ['close', 1],
  ])
  expect(await play('client', 'HTTP/1.1', scenario)).toEqual([
    ['keep-alive', 0],
    ['keep-alive', 0],
  ])
})
