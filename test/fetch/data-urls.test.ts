/** URLs that are not http: what they answer without a network, and what is refused. */
import { expect } from 'vitest'
import { fact, same, tell } from '../support/lanes.ts'

const failed = (message: unknown): object => ({
  class: 'TypeError',
  name: 'TypeError',
  message: 'fetch failed',
  cause: { class: 'Error', name: 'Error', message },
})

const data: [url: string, type: string, text: string][] = [
  ['data:,hello', 'text/plain;charset=US-ASCII', 'hello'],
  ['data:text/plain,a%20b#f', 'text/plain', 'a b'],
  ['data:text/plain;charset=utf-8,%C3%BC', 'text/plain;charset=utf-8', 'ü'],
  ['data:;base64,aGk=', 'text/plain;charset=US-ASCII', 'hi'],
  ['data:application/json;base64,eyJhIjoxfQ', 'application/json', '{"a":1}'],
  ['data:nonsense,x', 'text/plain;charset=US-ASCII', 'x'],
  ['data:image/PNG,', 'image/png', ''],
]
for (const [url, type, text] of data) {
  fact(
    url,
    async ({ fetch, seen }) => {
      const response = await fetch(url)
      const { status, statusText, type: kind, redirected, url: end, headers } = response
      return [status, statusText, kind, redirected, end, [...headers], await response.text(), seen.length]
    },
    [200, 'OK', 'basic', false, url.replace(/#.*/, ''), [['content-type', type]], text, 0],
  )
}
for (const url of ['data:text/plain', 'data:;base64,a']) {
  fact(`${url} is refused`, ({ tells }) => tells(url), failed('failed to fetch the data URL'))
}
for (const init of [{ method: 'POST', body: 'x' }, { method: 'HEAD' }, { headers: { range: 'bytes=0-1' } }]) {
  same(`a data: URL with ${JSON.stringify(init)}`, ({ tells }) => tells('data:,hello', init))
}

fact(
  'a blob: URL',
  async ({ fetch }) => {
    const url = URL.createObjectURL(new Blob(['hello'], { type: 'a/b' }))
    const response = await fetch(url)
    const { status, statusText, headers } = response
    const part = await fetch(url, { headers: { range: 'bytes=1-2' } })
    const outcome = [status, statusText, [...headers], await response.text()]
    const ofPart = [part.status, part.headers.get('content-range'), await part.text()]
    URL.revokeObjectURL(url)
    return [outcome, ofPart, await tell(fetch(url))]
  },
  [
    [
      200,
      'OK',
      [
        ['content-length', '5'],
        ['content-type', 'a/b'],
      ],
      'hello',
    ],
    [206, 'bytes 1-2/5', 'el'],
    failed('invalid method'),
  ],
)

fact(
  'a blob: URL takes no other method',
  async ({ tells }) => {
    const url = URL.createObjectURL(new Blob(['hello']))
    const told = await tells(url, { method: 'POST' })
    URL.revokeObjectURL(url)
    return told
  },
  failed('invalid method'),
)

for (const [url, message] of [
  ['about:blank', 'about scheme is not supported'],
  ['about:srcdoc', 'about scheme is not supported'],
  ['file:///etc/hosts', 'not implemented... yet...'],
  ['ftp://127.0.0.1/', 'unknown scheme'],
  ['ws://127.0.0.1/', expect.any(String)],
  ['javascript:1', 'unknown scheme'],
  ['mailto:a@b', 'unknown scheme'],
] as const) {
  fact(`${url} is refused`, ({ tells }) => tells(url), failed(message))
}
