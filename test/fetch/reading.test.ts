/** Response bodies in every way of reading. */
import { expect } from 'vitest'
import { fact, tell } from '../support/lanes.ts'
import { sends } from '../support/recorder.ts'

const bom = '\ufeff{"a":"ü"}'
const reads: [how: string, body: string, contentType: string, got: unknown][] = [
  ['text', bom, '', '{"a":"ü"}'],
  ['json', bom, '', { a: 'ü' }],
  ['bytes', 'ab', '', { bytes: 'ab' }],
  ['arrayBuffer', 'ab', '', { buffer: 'ab' }],
]
for (const [how, body, contentType, got] of reads) {
  fact(
    `${how}() of ${JSON.stringify(body)}`,
    async ({ fetch, url, answers }) => {
      answers(sends(200, [['content-type', contentType]], body))
      const response = await fetch(url)
      const pending = (response as unknown as Record<string, () => Promise<unknown>>)[how]?.()
      const used = [response.bodyUsed]
      const value = await pending
      return [value, used, response.bodyUsed]
    },
    [got, [true], true],
    { h2: true },
  )
}

fact(
  'text() replaces what is no UTF-8',
  async ({ fetch, url, answers }) => {
    answers(sends(200, [], Buffer.from([0x61, 0xff, 0xc3])))
    return (await fetch(url)).text()
  },
  'a\ufffd\ufffd',
)

for (const body of ['', '{', '{"a":1}x', 'nul']) {
  fact(
    `json() of ${JSON.stringify(body)} is a SyntaxError, as of JSON.parse`,
    async ({ fetch, url, answers }) => {
      answers(sends(200, [], body))
      return tell((await fetch(url)).json())
    },
    expect.objectContaining({ class: 'SyntaxError', message: messageOf(() => JSON.parse(body)) }),
  )
}

function messageOf(run: () => unknown): string {
  try {
    return String(run())
  } catch (error) {
    return (error as Error).message
  }
}

const types: [contentType: string, got: string][] = [
  ['Text/HTML; Charset="utf-8"', 'text/html;charset=utf-8'],
  ['', ''],
  ['nonsense', ''],
]
for (const [contentType, got] of types) {
  fact(
    `the blob of a response of type ${JSON.stringify(contentType)} has the type ${JSON.stringify(got)}`,
    async ({ fetch, url, answers }) => {
      answers(sends(200, [['content-type', contentType]], 'ab'))
      const blob = await (await fetch(url)).blob()
      return [blob.type, blob.size, blob instanceof Blob]
    },
    [got, 2, true],
  )
}

const part = (head: string, body: string): string =>
  `--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`
const multipart = `${part('name="a"', '1')}${part('name="a"', 'ü')}${part('name="f"; filename="x.txt"', 'hi')}--b--\r\n`
const forms: [contentType: string, body: string, got: unknown][] = [
  [
    'multipart/form-data; boundary=b',
    multipart,
    [
      ['a', '1'],
      ['a', 'ü'],
      ['f', 'x.txt', 'text/plain', 'hi'],
    ],
  ],
  [
    'application/x-www-form-urlencoded',
    'a=1+2&b=%C3%BC&c',
    [
      ['a', '1 2'],
      ['b', 'ü'],
      ['c', ''],
    ],
  ],
]
for (const [contentType, body, got] of forms) {
  fact(
    `formData() of ${contentType}`,
    async ({ fetch, url, answers }) => {
      answers(sends(200, [['content-type', contentType]], body))
      const form = await (await fetch(url)).formData()
      const entries = [...form].map(async ([name, value]) =>
        typeof value === 'string' ? [name, value] : [name, value.name, value.type, await value.text()],
      )
      return Promise.all(entries)
    },
    got,
    { h2: true },
  )
}
for (const [contentType, body] of [
  ['multipart/form-data; boundary=b', '--x'],
  ['multipart/form-data', multipart],
  ['text/plain', 'a=b'],
] as const) {
  fact(
    `formData() of ${contentType}: ${JSON.stringify(body.slice(0, 5))} is refused`,
    async ({ fetch, url, answers }) => {
      answers(sends(200, [['content-type', contentType]], body))
      return tell((await fetch(url)).formData())
    },
    expect.objectContaining({ class: 'TypeError' }),
  )
}
