/** Redirects: what each hop is asked, what is dropped on the way, and where it ends. */
import { expect } from 'vitest'
import { fact, fieldOf, type Scene } from '../support/lanes.ts'
import { type Fields, type Script, sends } from '../support/recorder.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

/** `/from` answers with the status and location, everything else with 'ok'. */
const moves =
  (status: number, location: string | undefined, body = ''): Script =>
  async (request, reply) => {
    const fields: Fields = location === undefined ? [] : [['location', location]]
    await (request.target.startsWith('/from') ? sends(status, fields, body) : sends(200, [], 'ok'))(
      request,
      reply,
    )
  }

const lines = ({ seen }: Scene): string[] =>
  seen.map((request) => [request.method, request.target, request.body.toString()].join(' ').trim())

const rewrites: [status: number, method: string, next: string][] = [
  ...[301, 302].flatMap((status): [number, string, string][] => [
    [status, 'GET', 'GET'],
    [status, 'HEAD', 'HEAD'],
    [status, 'POST', 'GET'],
    [status, 'PUT', 'PUT'],
    [status, 'DELETE', 'DELETE'],
  ]),
  [303, 'GET', 'GET'],
  [303, 'HEAD', 'HEAD'],
  [303, 'POST', 'GET'],
  [303, 'PUT', 'GET'],
  [303, 'X', 'GET'],
  ...[307, 308].flatMap((status): [number, string, string][] => [
    [status, 'GET', 'GET'],
    [status, 'POST', 'POST'],
    [status, 'X', 'X'],
  ]),
]
for (const [status, method, next] of rewrites) {
  fact(
    `${status} makes ${method} ${next}, and keeps the body with the method`,
    async (scene) => {
      scene.answers(moves(status, '/to'))
      const body = ['GET', 'HEAD'].includes(method) ? undefined : 'body'
      const headers = { 'content-language': 'de', 'x-a': '1' }
      const response = await scene.fetch(`${scene.url}/from`, { method, headers, ...(body && { body }) })
      await response.text()
      const kept = ['content-type', 'content-language', 'content-length', 'x-a'].filter(
        (name) => fieldOf(scene.seen[1], name).length > 0,
      )
      return [lines(scene), kept, response.redirected, response.url]
    },
    [
      ['GET', 'HEAD'].includes(method)
        ? [`${method} /from`, `${next} /to`]
        : [`${method} /from body`, next === 'GET' ? 'GET /to' : `${next} /to body`],
      next === 'GET' && method !== 'GET'
        ? ['x-a']
        : ['GET', 'HEAD'].includes(method)
          ? ['content-language', 'x-a']
          : ['content-type', 'content-language', 'content-length', 'x-a'],
      true,
      expect.stringMatching(/:a\/to$/),
    ],
    { h2: true },
  )
}

const secret = { authorization: 'x', cookie: 'a=1', 'proxy-authorization': 'y', 'x-a': '1' }
for (const [where, left] of [
  ['here', ['authorization', 'cookie', 'proxy-authorization', 'x-a']],
  ['elsewhere', ['x-a']],
] as const) {
  fact(
    `credentials go ${where === 'here' ? 'with a redirect on the same origin' : 'no farther than their origin'}`,
    async (scene) => {
      const target = `${where === 'here' ? scene.url : scene.other}/to`
      scene.answers(moves(307, target))
      await (await scene.fetch(`${scene.url}/from`, { headers: secret })).text()
      return Object.keys(secret)
        .filter((name) => fieldOf(scene.seen[1], name).length > 0)
        .sort()
    },
    left,
    { h2: true },
  )
}

const places: [what: string, location: string, target: string, end: string][] = [
  ['a path', '/to?x=1', '/to?x=1', '/to?x=1#f'],
  ['a relative path', 'to', '/to', '/to#f'],
  ['a query', '?to', '/from?to', '/from?to#f'],
  ['a fragment of its own', '/to#g', '/to', '/to#g'],
  ['UTF-8', '/\u00c3\u00bc', '/%C3%BC', '/%C3%BC#f'],
]
for (const [what, location, target, end] of places) {
  fact(
    `a location of ${what} is resolved; the fragment of the call stays unless it has one`,
    async (scene) => {
      let left = 1
      scene.answers((request, reply) =>
        (left-- > 0 ? sends(302, [['location', location]]) : sends(200))(request, reply),
      )
      const response = await scene.fetch(`${scene.url}/from#f`)
      return [lines(scene)[1], response.url.replace(/^.*:a|^https?:\/\/[^/]*/, ''), response.redirected]
    },
    // The url of a response never has a fragment.
    [`GET ${target}`, end.replace(/#.*/, ''), true],
  )
}

for (const count of [20, 21]) {
  fact(
    `${count} redirects ${count === 20 ? 'are followed' : 'are too many'}`,
    async ({ tells, url, answers, seen }) => {
      let left = count
      answers((request, reply) =>
        (left-- > 0 ? sends(302, [['location', `/${left}`]], 'moved') : sends(200))(request, reply),
      )
      const { status, redirected, cause } = (await tells(url)) as Record<string, unknown>
      return [seen.length, status, redirected, (cause as Error | undefined)?.message]
    },
    count === 20 ? [21, 200, true, undefined] : [21, undefined, undefined, 'redirect count exceeded'],
    { h2: true },
  )
}

const failed = (message: unknown, extra: object = {}): object => ({
  class: 'TypeError',
  name: 'TypeError',
  message: 'fetch failed',
  cause: expect.objectContaining({ message, ...extra }),
})
const refused: [what: string, location: string, cause: unknown][] = [
  ['no http URL', 'ftp://x.test/', 'URL scheme must be a HTTP(S) scheme'],
  ['a data: URL', 'data:,x', 'URL scheme must be a HTTP(S) scheme'],
  ['no URL', 'http://[', 'Invalid URL'],
  [
    'a URL with credentials elsewhere',
    'http://u:p@x.test/',
    'cross origin not allowed for request mode "cors"',
  ],
  ['a blocked port', 'http://127.0.0.1:6667/', 'bad port'],
]
for (const [what, location, cause] of refused) {
  fact(
    `a location that is ${what} fails`,
    async ({ tells, url, answers }) => {
      answers(moves(302, location))
      return tells(`${url}/from`)
    },
    failed(cause),
  )
}

fact(
  'redirect: error fails, and nothing follows',
  async ({ tells, url, answers, seen }) => {
    answers(moves(302, '/to', 'moved'))
    return [await tells(`${url}/from`, { redirect: 'error' }), seen.length]
  },
  [failed('unexpected redirect'), 1],
  { h2: true },
)

fact(
  'redirect: manual gives the redirect itself, with its body',
  async ({ fetch, url, answers, seen }) => {
    answers(moves(302, '/to', 'moved'))
    const response = await fetch(`${url}/from`, { redirect: 'manual' })
    const { status, type, redirected, headers } = response
    return [status, type, redirected, headers.get('location'), await response.text(), seen.length]
  },
  [302, 'basic', false, '/to', 'moved', 1],
  { h2: true },
)

for (const status of [300, 304, 305, 306]) {
  fact(
    `${status} is no redirect`,
    async ({ fetch, url, answers, seen }) => {
      answers(moves(status, '/to'))
      const response = await fetch(`${url}/from`)
      return [response.status, response.redirected, seen.length]
    },
    [status, false, 1],
  )
}

fact(
  'a redirect status without a location is an answer',
  async ({ fetch, url, answers }) => {
    answers(moves(302, undefined))
    const response = await fetch(`${url}/from`)
    return [response.status, response.redirected]
  },
  [302, false],
)

for (const status of [301, 303, 307]) {
  fact(
    `a stream as body ${status === 307 ? 'cannot be sent again' : 'is not asked for again'} after ${status}`,
    async ({ tells, url, answers, seen }) => {
      answers(moves(status, '/to'))
      const body = new Blob(['body']).stream()
      const told = (await tells(`${url}/from`, { method: 'POST', body, duplex: 'half' })) as Record<
        string,
        unknown
      >
      return [told['status'] ?? told['message'], seen.length]
    },
    status === 303 ? [200, 2] : ['fetch failed', 1],
  )
}

fact(
  'the body of a hop is not waited for',
  async ({ fetch, url, answers }) => {
    answers((request, reply) => {
      if (request.target === '/to') return sends(200, [], 'ok')(request, reply)
      reply.head(302, [['location', '/to']])
      return reply.write('never ends')
    })
    return (await fetch(`${url}/from`)).text()
  },
  'ok',
  { h2: true },
)
