/** What servers, programs and file names may say: never markup, never a control sequence, never a secret. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LeakEvent } from '../../src/events.ts'
import { Leaks } from '../../src/report/leaks.ts'
import { escapeHtml, html } from '../../src/report/markup.ts'
import type { Report } from '../../src/report/model.ts'
import { pageReport } from '../../src/report/page.ts'
import { redactAll, redactText } from '../../src/report/redact.ts'
import { Tally } from '../../src/report/tally.ts'
import { textReport } from '../../src/report/text.ts'
import { emptyReport } from './support.ts'

const pieces = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='x",
  '</style>',
  '</title>',
  '<!--',
  ']]>',
  '&lt;b&gt;',
  '`${x}`',
  '\u001b[2J',
  '\r\n',
  '\u202e',
  '\ud800',
  '\0',
]
const hostile = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary' })), { maxLength: 4 })
  .map((all) => all.join(''))

/** A report in which every name is `text`, by way of the events. */
function reportOf(text: string): Report {
  const tally = new Tally()
  const leaks = new Leaks()
  const place = { client: text, origin: text }
  const holder = {
    state: text as never,
    count: 1,
    method: text,
    path: text,
    age: 1,
    received: 1,
    callSite: text,
    site: undefined,
  }
  tally.onWait({ ...place, waited: 1, connection: 'opened' })
  tally.onBody({ ...place, outcome: 'closed', reason: 'bytes', read: 1, drained: 1, unread: 1 })
  tally.onStarvation({ ...place, waited: 1, waiting: 1, limit: 1, open: 1, holders: [holder] })
  const site = { function: text, file: text, line: 1, column: 1 }
  const leak: LeakEvent = {
    ...place,
    method: text,
    path: text,
    status: 200,
    foundBy: text as never,
    age: 1,
    received: 1,
    read: 0,
    unread: 1,
    heldConnection: true,
    count: 1,
    callSite: text,
    site,
  }
  leaks.onLeak(leak)
  return redactAll({
    ...emptyReport(),
    program: text,
    ended: text,
    total: tally.total(),
    origins: tally.origins(),
    starvations: tally.starvations(),
    leaks: leaks.all(() => [text]),
  })
}

const tags = (page: string): string[] => [...page.matchAll(/<\/?[a-z!][^>]*>/gi)].map(([tag]) => tag)
/** Attributes without their values, text not at all. */
const shape = (page: string): string =>
  tags(page)
    .map((tag) => tag.replaceAll(/"[^"]*"/g, '""'))
    .join('')

test('no name becomes markup: the page has the same elements and attributes whatever the names are', () => {
  const plain = shape(pageReport(reportOf('plain')))
  fc.assert(
    fc.property(
      hostile.filter((text) => text.trim() !== ''),
      (text) => {
        const page = pageReport(reportOf(`x${text}`))
        expect(shape(page)).toBe(plain)
        // eslint-disable-next-line no-control-regex
        expect(page).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
      },
    ),
    { numRuns: 300 },
  )
})

test('text in an element or an attribute comes back as it was, but for what cannot be seen', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const shown = escapeHtml(text)
      expect(shown).not.toMatch(/[<>"'`]|&(?!#\d+;)/)
      const back = shown.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
      expect(back).toBe(text)
      expect(html`<b>${text}</b>`.text).toBe(`<b>${shown}</b>`)
    }),
  )
})

test('the text moves no cursor and adds no line, whatever the names are', () => {
  const lines = textReport(reportOf('plain')).split('\n').length
  fc.assert(
    fc.property(hostile, (text) => {
      const shown = textReport(reportOf(`x${text}`))
      expect(shown.split('\n')).toHaveLength(lines)
      // eslint-disable-next-line no-control-regex
      expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
    }),
    { numRuns: 300 },
  )
})

/** As it stands in credentials: letters, digits and what base64 adds. */
const secret = fc.stringMatching(/^[A-Za-z0-9+/]{16,40}$/).map((text) => `Hunter2${text}`)

const carriers: { readonly [name: string]: (secret: string) => string } = {
  SAS: (s) => `/c/b?sv=2024-11-04&se=2026-01-01&sp=r&sig=${encodeURIComponent(s)}`,
  'SAS in a line': (s) =>
    `await fetch(\`https://a.blob.core.windows.net/c/b?sv=1&sig=${encodeURIComponent(s)}\`)`,
  'presigned S3': (s) =>
    `fetch("https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=${s}&X-Amz-Security-Token=${s}")`,
  'presigned GCS': (s) => `https://storage.googleapis.com/b/o?GoogleAccessId=${s}&Signature=${s}`,
  'bearer token': (s) => `headers: { authorization: 'Bearer ${s}' }`,
  'bearer token in a template': (s) => `headers: { Authorization: \`Bearer ${s}\` }`,
  'basic credentials': (s) => `fetch(url, { headers: { "Authorization": "Basic ${s}==" } })`,
  'shared key': (s) => `authorization: SharedKey account:${s}`,
  userinfo: (s) => `fetch('https://user:${s}@host/path')`,
  'user alone': (s) => `https://${s.replaceAll(/[+/]/g, '')}@host/path`,
  'connection string': (s) =>
    `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${s}==;EndpointSuffix=core.windows.net`,
  'assigned token': (s) => `const token = '${s}'`,
  'api key in an object': (s) => `fetch(url, { headers: { "x-api-key": "${s}" } })`,
  'password in an object': (s) => `login({ user: 'me', password: "${s}" })`,
  'JSON Web Token': (s) => `send('eyJ${s.replaceAll(/[+/]/g, '')}.eyJ${s.replaceAll(/[+/]/g, '')}.x')`,
}

for (const [name, carry] of Object.entries(carriers)) {
  test(`no report shows a secret: ${name}`, () => {
    fc.assert(
      fc.property(secret, (value) => {
        const report = reportOf(carry(value))
        // Letters and digits alone: however it is encoded, this part of it would be seen.
        for (const shown of [JSON.stringify(report), textReport(report), pageReport(report)])
          expect(shown).not.toContain('Hunter2')
      }),
      { numRuns: 50 },
    )
  })
}

test('any text is redacted without an error, and in a time that does not explode', () => {
  fc.assert(fc.property(fc.string(), (text) => void redactText(text)))
  for (const text of [
    'a://'.repeat(5_000),
    'key="'.repeat(5_000),
    'bearer '.repeat(5_000),
    `https://${'a:'.repeat(5_000)}`,
    '?a=b&'.repeat(5_000),
    'eyJ'.repeat(5_000),
    '\\'.repeat(20_000),
  ])
    expect(redactText(text).length).toBeLessThanOrEqual(text.length * 3)
})

test('what is no secret stays readable', () => {
  for (const line of [
    'const response = await fetch(`${base}/items/${id}`)',
    "fetch('https://host/path?page=2&limit=10')",
    'const keys = await list(prefix)',
    'if (tokens.length === 0) return',
  ])
    expect(redactText(line)).toBe(line)
})

test.each([
  ['a-', 'no scheme, and may begin one at every word'],
  ['?', 'no query'],
  ['eyJ-', 'no token'],
  ['-eyJ', 'no token either'],
  [':', 'no password', 'http://'],
])('a path of 400,000 signs such as "%s" (%s) is redacted in time', (piece, _, before = '') => {
  const text = before + piece.repeat(400_000 / piece.length)
  expect(redactText(text)).toBe(text)
})

test.each([
  ['/sessions/token-eyJhbGciOi-eyJx.eyJzdWIi.c2ln/x', '/sessions/token-***/x'],
  ['a-b.eyJhbGciOi.eyJzdWIi', 'a-b.***'],
  ['--eyJhbGciOi.eyJzdWIi.', '--***'],
  ['surveyJson.parse(text)', 'surveyJson.parse(text)'],
  ['state_eyJhbGciOi.eyJzdWIi', 'state_***'],
  ['eyJhbGciOi', 'eyJhbGciOi'],
])('a JSON Web Token is found where it begins, in a word of several parts, too: %s', (text, shown) => {
  expect(redactText(text)).toBe(shown)
})
