/** What our fetch owes its caller where undici's own, or its way with the classes of Node, gives less. */
import { expect, test } from 'vitest'
import { fieldOf, lanes, play, type Scene } from '../support/lanes.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const owes = (
  name: string,
  lane: keyof typeof lanes,
  scenario: (scene: Scene) => unknown,
  expected: unknown,
): void => {
  test(`${name} [${lane}]`, async () => {
    expect(await play(lane, 'HTTP/1.1', scenario)).toEqual(expected)
  })
}

owes(
  'a Request as init brings what it has',
  'client',
  async ({ fetch, url, seen, Request }) => {
    const init = new Request(url, { method: 'PUT', headers: { 'x-a': '1' } })
    await (await fetch(url, init)).text()
    return [seen[0]?.method, fieldOf(seen[0], 'x-a')]
  },
  ['PUT', ['1']],
)

owes(
  'a Request keeps its referrer',
  'client',
  async ({ fetch, url, seen, Request }) => {
    await (await fetch(new Request(url, { referrer: 'https://r.test/x' }))).text()
    return fieldOf(seen[0], 'referer')
  },
  ['https://r.test/'],
)

owes(
  'a redirect status without a location has a body',
  'client',
  async ({ fetch, url, answers }) => {
    answers((_, reply) => reply.send(302, [], 'see elsewhere'))
    return (await fetch(url)).text()
  },
  'see elsewhere',
)

owes(
  "a Request of Node's keeps the length of its body",
  'globals',
  async ({ fetch, url, seen, Request }) => {
    await (await fetch(new Request(url, { method: 'POST', body: 'body' }))).text()
    return [fieldOf(seen[0], 'content-length'), fieldOf(seen[0], 'transfer-encoding')]
  },
  [['4'], []],
)

owes(
  "a Request of Node's can be sent again after 307",
  'globals',
  async ({ fetch, url, answers, Request }) => {
    answers((request, reply) =>
      request.target === '/to' ? reply.send(200) : reply.send(307, [['location', '/to']]),
    )
    return (await fetch(new Request(url, { method: 'POST', body: 'body' }))).status
  },
  200,
)

owes(
  "a Request of Node's keeps its cache mode",
  'globals',
  async ({ fetch, url, seen, Request }) => {
    await (await fetch(new Request(url, { cache: 'no-store' }))).text()
    return fieldOf(seen[0], 'cache-control')
  },
  ['no-cache'],
)

owes(
  "a Request of Node's keeps its mode",
  'globals',
  async ({ fetch, url, seen, Request }) => {
    await (await fetch(new Request(url, { mode: 'same-origin' }))).text()
    return fieldOf(seen[0], 'sec-fetch-mode')
  },
  ['same-origin'],
)

owes(
  "a body of null over a Request of Node's leaves it its own",
  'globals',
  async ({ fetch, url, seen, Request }) => {
    await (await fetch(new Request(url, { method: 'POST', body: 'body' }), { body: null })).text()
    return seen[0]?.body
  },
  { bytes: 'body' },
)

owes(
  "a form of Node's over a Request leaves it its headers",
  'globals',
  async ({ fetch, url, seen, Request, FormData }) => {
    const request = new Request(url, { method: 'POST', headers: { 'x-a': '1' } })
    await (await fetch(request, { method: 'POST', body: new FormData() })).text()
    return fieldOf(seen[0], 'x-a')
  },
  ['1'],
)

owes(
  "a form of Node's leaves headers their case and order",
  'globals',
  async ({ fetch, url, seen, FormData }) => {
    const headers = { 'X-B': '1', 'x-a': '2' }
    await (await fetch(url, { method: 'POST', headers, body: new FormData() })).text()
    return seen[0]?.headers.map(([name]) => name).filter((name) => /^x-/i.test(name))
  },
  ['X-B', 'x-a'],
)

owes(
  'after 421 a request goes to another connection',
  'client',
  async ({ fetch, url, seen, answers }) => {
    answers((_, reply) => reply.send(seen.length === 1 ? 421 : 200, [], 'x'))
    await (await fetch(url)).text()
    return seen.map(({ connection }) => connection)
  },
  [0, 1],
)

owes(
  'a response is an instance of the global Response',
  'client',
  async ({ fetch, url }) => (await fetch(url)) instanceof globalThis.Response,
  true,
)

owes(
  'an empty body of coding zstd is empty, as with every other coding',
  'client',
  async ({ fetch, url, answers }) => {
    answers((_, reply) => reply.send(200, [['content-encoding', 'zstd']]))
    return (await fetch(url)).text()
  },
  '',
)

owes(
  'white space around the value of a header is no part of it',
  'client',
  async ({ fetch, url, answers }) => {
    answers((_, reply) => reply.send(200, [['x-spaced', '  spaced  ']]))
    return (await fetch(url)).headers.get('x-spaced')
  },
  'spaced',
)
