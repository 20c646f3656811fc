/** What may be given to fetch: URLs, Requests, inits, and what is refused before anything is sent. */
import { expect } from 'vitest'
import { fact, fieldOf, tell } from '../support/lanes.ts'

const type = 'TypeError'
const targets: [given: string, sent: string, url: string][] = [
  ['', '/', '/'],
  ['/a b?c d#e f', '/a%20b?c%20d', '/a%20b?c%20d'],
  ['/ü?ü', '/%C3%BC?%C3%BC', '/%C3%BC?%C3%BC'],
  ['/a/../b/./c', '/b/c', '/b/c'],
  ['/a\\b', '/a/b', '/a/b'],
  ['/%zz%20', '/%zz%20', '/%zz%20'],
  ['/\ta\n', '/a', '/a'],
  ['/<>`{}|\'"', "/%3C%3E%60%7B%7D|'%22", "/%3C%3E%60%7B%7D|'%22"],
  ['?', '/?', '/?'],
  ['//a', '//a', '//a'],
]
for (const as of ['string', 'URL', 'Request'] as const) {
  for (const [given, sent, end] of targets) {
    fact(
      `${JSON.stringify(given)} as ${as}`,
      async ({ fetch, url, seen, Request }) => {
        const target = url + given
        const input = { string: target, URL: new URL(target), Request: new Request(target) }[as]
        const response = await fetch(input)
        await response.text()
        return [seen[0]?.target, response.url]
      },
      [
        sent,
        expect.stringMatching(new RegExp(`:a${end.replaceAll(/[?|.$()*+[\]{}\\]/g, String.raw`\$&`)}$`)),
      ],
      { globals: as === 'Request', h2: as === 'string' },
    )
  }
}

for (const input of ['/relative', 'x', '', 'http://', 'http://[', 'http://a b/']) {
  fact(`${JSON.stringify(input)} is no URL`, ({ tells }) => tells(input), {
    class: type,
    name: type,
    message: `Failed to parse URL from ${input}`,
    cause: expect.objectContaining({ code: 'ERR_INVALID_URL' }),
  })
}

for (const user of ['u:p@', 'u@', ':p@']) {
  fact(
    `credentials in a URL are refused: ${user}`,
    ({ tells, url }) => tells(url.replace('//', `//${user}`)),
    {
      class: type,
      name: type,
      message: expect.stringMatching(/^Request cannot be constructed from a URL that includes/),
    },
  )
}

const options: [name: string, value: unknown][] = [
  ['redirect', 'x'],
  ['mode', 'x'],
  ['mode', 'navigate'],
  ['credentials', 'x'],
  ['cache', 'x'],
  ['cache', 'only-if-cached'],
  ['referrer', 'http://['],
  ['referrerPolicy', 'x'],
  ['window', 'x'],
  ['duplex', 'x'],
  ['priority', 'x'],
]
for (const [name, value] of options) {
  fact(
    `${name}: ${JSON.stringify(value)} is refused, and nothing is sent`,
    async ({ tells, url, seen }) => [await tells(url, { [name]: value }), seen.length],
    [expect.objectContaining({ class: type }), 0],
  )
}

fact(
  'a refusal is a rejection, never thrown at the caller',
  async ({ fetch }) => {
    const calls = [
      () => fetch('http://['),
      () => (fetch as () => Promise<unknown>)(),
      () => fetch('http://127.0.0.1/', { method: 'A B' }),
      () => fetch(Symbol('x') as never),
    ]
    return Promise.all(
      calls.map((call) =>
        call().then(
          () => 'resolved',
          (error: Error) => error.constructor.name,
        ),
      ),
    )
  },
  ['TypeError', 'TypeError', 'TypeError', 'TypeError'],
)

fact(
  'a Request brings its method, headers and body',
  async ({ fetch, url, seen, Request }) => {
    const request = new Request(`${url}/p`, { method: 'PUT', headers: { 'X-A': '1' }, body: 'body' })
    await (await fetch(request)).text()
    const [sent] = seen
    return [
      sent?.method,
      sent?.target,
      fieldOf(sent, 'x-a'),
      fieldOf(sent, 'content-type'),
      sent?.body,
      request.bodyUsed,
    ]
  },
  ['PUT', '/p', ['1'], ['text/plain;charset=UTF-8'], { bytes: 'body' }, true],
  { globals: true, h2: true },
)

fact(
  'an init over a Request: what it names takes the place, headers as a whole',
  async ({ fetch, url, seen, Request }) => {
    const request = new Request(url, { method: 'PUT', headers: { 'x-a': '1', 'x-b': '2' }, body: 'body' })
    await (await fetch(request, { method: 'POST', headers: { 'x-a': '3' }, body: 'other' })).text()
    const [sent] = seen
    return [sent?.method, fieldOf(sent, 'x-a'), fieldOf(sent, 'x-b'), sent?.body]
  },
  ['POST', ['3'], [], { bytes: 'other' }],
  { globals: true },
)

fact(
  'an empty init over a Request changes nothing',
  async ({ fetch, url, seen, Request }) => {
    const request = new Request(url, { method: 'PUT', headers: { 'x-a': '1' } })
    await (await fetch(request, {})).text()
    return [seen[0]?.method, fieldOf(seen[0], 'x-a')]
  },
  ['PUT', ['1']],
  { globals: true },
)

fact(
  'a Request whose body was used is refused',
  async ({ fetch, url, Request, seen }) => {
    const request = new Request(url, { method: 'POST', body: 'body' })
    await request.text()
    return [await tell(fetch(request)), seen.length]
  },
  [expect.objectContaining({ class: type }), 0],
  { globals: true },
)

fact(
  'a Request without a body can be sent again, its clone with one, too',
  async ({ fetch, url, Request, seen }) => {
    const plain = new Request(url)
    await (await fetch(plain)).text()
    await (await fetch(plain)).text()
    const request = new Request(url, { method: 'POST', body: 'body' })
    const copy = request.clone()
    await (await fetch(request)).text()
    await (await fetch(copy)).text()
    return seen.map(({ body }) => body)
  },
  [{ bytes: '' }, { bytes: '' }, { bytes: 'body' }, { bytes: 'body' }],
  { globals: true },
)

fact(
  'unknown options are ignored',
  async ({ fetch, url }) => (await fetch(url, { agent: {}, compress: false, size: 1 })).text(),
  'ok',
)

for (const [name, init] of Object.entries({ undefined, null: null, 'an empty object': {} })) {
  fact(`${name} as init`, async ({ fetch, url }) => (await fetch(url, init as never)).text(), 'ok')
}
