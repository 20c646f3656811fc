/** Services are made of what is accepted, or not at all. */
import { Agent } from 'undici'
import { expect, test, vi } from 'vitest'
import { createServices, InvalidOptionError } from '../../src/index.ts'

const origin = 'https://a'
const parsed = (text: string): unknown => JSON.parse(text)

const bad: [string, unknown, string, RegExp][] = [
  [
    'an option',
    { a: { origin, connections: 0 } },
    'a.connections',
    /^a\.connections: Option connections must be/,
  ],
  ['an unknown option', { a: { origin, conections: 3 } }, 'a.conections', /did you mean connections\?/],
  ['a misspelt list', { a: { origin, orgins: [] } }, 'a.orgins', /Known: .*origins/],
  ['an option within', { a: { origin, drain: { maxTime: -1 } } }, 'a.drain.maxTime', /^a\.drain\.maxTime: /],
  ['a time limit', { a: { origin, timeout: { hedaers: 1 } } }, 'a.timeout.hedaers', /timeout\.headers/],
  [
    'an option of a service named options',
    { options: { origin, http2: 1 } },
    'options.http2',
    /^options\.http2: /,
  ],
  ['options that are none', { a: 'https://hunter2@a' }, 'a', /^a: options must be an object, got a string/],
  ['options that are missing', { a: undefined }, 'a', /^a: options must be an object, got undefined/],
  [
    'no origin',
    { a: {} },
    'a.origin',
    /a\.origin has to be given: only the service named default needs none/,
  ],
  [
    'an origin that is none',
    { a: { origin: 'a.example' } },
    'a.origin',
    /must be an http: or https: URL, got "a.example"/,
  ],
  ['an origin of another scheme', { a: { origin: 'ws://a' } }, 'a.origin', /must be an http: or https: URL/],
  [
    'a list that is none',
    { a: { origin, origins: 'https://b' } },
    'a.origins',
    /must be an array of http: or https: URLs/,
  ],
  [
    'one of a list',
    { a: { origin, origins: ['https://b', 'c'] } },
    'a.origins.1',
    /must be an http: .* got "c"/,
  ],
  [
    'nothing in a list',
    { a: { origin, origins: [undefined] } },
    'a.origins.0',
    /must be an http: .* got null/,
  ],
  [
    'one origin twice',
    { a: { origin }, b: { origin: 'https://A:443/x' } },
    'b.origin',
    /^Services a and b both claim https:\/\/a: /,
  ],
  [
    'one in two lists',
    { a: { origin, origins: ['http://x'] }, b: { origin: 'https://b', origins: ['http://x:80'] } },
    'b.origins.0',
    /Services a and b both claim http:\/\/x/,
  ],
  ['what default has', { default: { origin }, b: { origin } }, 'b.origin', /default and b both/],
  ['a name that is empty', { '': { origin } }, 'services', /must not be empty/],
  ['a Map', new Map([['a', { origin }]]), 'services', /services must be a plain object/],
  ['an array', [{ origin }], 'services', /services must be a plain object/],
  ['nothing', undefined, 'services', /services must be a plain object/],
  // In a literal, this name sets the prototype.
  ['a prototype', { __proto__: { origin } }, 'services', /plain object/],
]

test.each(bad)('refuses %s', (_, services, option, message) => {
  expect(() => createServices(services as never)).toThrow(message)
  expect(() => createServices(services as never)).toThrow(InvalidOptionError)
  expect(() => createServices(services as never)).toThrow(expect.objectContaining({ option }))
})

const taken = [
  'fetch',
  'stats',
  'close',
  'destroy',
  'then',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
]
test.each(taken)('refuses a service named %s', (name) => {
  const services = parsed(`{ "${name}": { "origin": "https://a" } }`)
  expect(() => createServices(services as never)).toThrow(
    `A service cannot be named ${name}: the name is taken`,
  )
})

test('an error shows no credentials', () => {
  for (const url of ['ftp://me:hunter2@h', 'me:hunter2@h', 'h/?sig=hunter2'])
    for (const options of [
      { origin: url },
      { origin, origins: [url] },
      { origin: 'https://b', proxy: url },
    ]) {
      const shown = ((): string => {
        try {
          createServices({ a: options })
        } catch (error) {
          return `${String(error)} ${(error as InvalidOptionError).option}`
        }
        return 'hunter2: accepted'
      })()
      expect(shown).not.toContain('hunter2')
    }
})

test('the last of three that cannot be made leaves none of the others behind', () => {
  const destroy = vi.spyOn(Agent.prototype, 'destroy')
  // Found by its client only, when the others stand.
  const late = { origin: 'https://c', drain: { maxTime: -1 } }
  expect(() => createServices({ a: { origin }, b: { origin: 'https://b' }, c: late })).toThrow(
    'c.drain.maxTime',
  )
  expect(new Set(destroy.mock.contexts).size).toBe(2)
  destroy.mockRestore()
})

test('one origin may be named twice by one service, and any name that is not taken is good', async () => {
  const services = createServices({
    a: { origin, origins: [origin, 'https://a:443'] },
    name: { origin: 'https://n' },
    'x-y z': { origin: 'https://x' },
    default: {},
  })
  expect(Object.keys(services.stats()).toSorted()).toEqual(['a', 'default', 'name', 'x-y z'])
  await services.close()
})

test('the options that were given are not changed, nor looked at again', async () => {
  const origins = ['https://b']
  const options = Object.freeze({ a: Object.freeze({ origin, origins }) })
  const services = createServices(options)
  origins.push('https://c')
  await expect(services.fetch('https://c')).rejects.toMatchObject({ known: ['https://a', 'https://b'] })
  await services.close()
})
