/** Services: what they are made of, and where a URL goes. */
import fc from 'fast-check'
import { Request as UndiciRequest } from 'undici'
import { expect, test } from 'vitest'
import { createServices, InvalidOptionError, UnknownOriginError } from '../../src/index.ts'
import { createOrigin, type Script } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'
import { testServices } from '../support/services.ts'

const reason = (error: unknown): unknown => error

/** The body says which origin it came from. */
const serve =
  (name: string): Script =>
  (seen, reply) =>
    reply.write(
      `HTTP/1.1 200 OK\r\ncontent-length: ${name.length}\r\n\r\n${seen.method === 'HEAD' ? '' : name}`,
    )

test('a URL goes to the service of its origin, on the connections of that service alone', async () => {
  await using a = await createOrigin(serve('a'))
  await using b = await createOrigin(serve('b'))
  await using services = testServices({
    a: { origin: a.url, headers: { 'x-for': 'a' } },
    b: { origin: b.url },
  })
  for (const input of [`${a.url}/1?x=y`, new URL(`${a.url}/2`), new Request(`${a.url}/3`)])
    expect(await (await services.fetch(input)).text()).toBe('a')
  expect(await (await services.fetch(`${b.url}/4`, { method: 'POST', body: 'x' })).text()).toBe('b')
  expect(a.seen.map(({ path }) => path)).toEqual(['/1?x=y', '/2', '/3'])
  expect(a.seen.every(({ headers }) => headers.includes('x-for: a'))).toBe(true)
  expect(b.seen.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /4'])
  expect(b.seen[0]?.headers).not.toContain('x-for')
  const stats = services.stats()
  expect(Object.keys(stats)).toEqual(['a', 'b'])
  expect(stats.a).toMatchObject({ name: 'a', sockets: { opened: 1, reused: 2 }, bodies: { read: 3 } })
  expect(stats.b).toMatchObject({ name: 'b', sockets: { opened: 1, reused: 0 }, bodies: { read: 1 } })
  expect(Object.keys(stats.a.origins)).toEqual([a.url])
})

test('a service is a client: relative URLs, its own options, and its name unless it has another', async () => {
  await using a = await createOrigin(serve('a'))
  await using services = testServices({
    a: { origin: `${a.url}/base/`, name: 'reports' },
    b: { origin: 'https://b' },
  })
  expect(await (await services.a.fetch('page')).text()).toBe('a')
  expect(a.seen[0]?.path).toBe('/base/page')
  expect([services.a.name, services.b.name, services.stats().a.name]).toEqual(['reports', 'b', 'reports'])
})

test('an undici Request and anything else with a text is routed as fetch reads it', async () => {
  await using a = await createOrigin(serve('a'))
  await using services = testServices({ a: { origin: a.url } })
  const odd = [new UndiciRequest(`${a.url}/1`), { toString: () => `${a.url}/2` }, ` ${a.url}/3 `]
  for (const input of odd) expect(await (await services.fetch(input as string)).text()).toBe('a')
  expect(a.seen.map(({ path }) => path)).toEqual(['/1', '/2', '/3'])
})

test("one service has several origins; what is no one else's goes to default", async () => {
  await using a = await createOrigin(serve('a'))
  await using secondary = await createOrigin(serve('secondary'))
  await using other = await createOrigin(serve('other'))
  await using services = testServices({
    a: { origin: a.url, origins: [new URL(`${secondary.url}/any/path`)] },
    default: {},
  })
  for (const [origin, text] of [
    [a, 'a'],
    [secondary, 'secondary'],
    [other, 'other'],
  ] as const)
    expect(await (await services.fetch(`${origin.url}/`)).text()).toBe(text)
  expect(Object.keys(services.stats().a.origins)).toEqual([a.url, secondary.url])
  expect(Object.keys(services.stats().default.origins)).toEqual([other.url])
  // No connection, and no service.
  expect(await (await services.fetch('data:text/plain,hello')).text()).toBe('hello')
})

test('an origin of no service is refused: it is named without credentials, and so are the known ones', async () => {
  await using services = testServices({
    a: { origin: 'https://me:hunter2@a/' },
    b: { origin: 'http://b:81' },
  })
  const error = await services.fetch('https://you:hunter2@c:444/path?sig=hunter2').catch(reason)
  expect(error).toBeInstanceOf(UnknownOriginError)
  expect(error).toBeInstanceOf(TypeError)
  expect(error).toMatchObject({
    code: 'ERR_DRAINED_UNKNOWN_ORIGIN',
    name: 'UnknownOriginError',
    origin: 'https://c:444',
    known: ['https://a', 'http://b:81'],
    message: 'No service for https://c:444. Known: https://a (a), http://b:81 (b)',
  })
  // A host without its scheme is a URL, too.
  await expect(services.fetch('localhost:8080/path')).rejects.toMatchObject({ origin: 'localhost:' })
  await expect(createServices({}).fetch('https://c')).rejects.toThrow('No service for https://c. Known: none')
})

test('scheme, host and port decide, however they are written', async () => {
  await using services = testServices({ a: { origin: 'https://H:443' }, b: { origin: 'http://h' } })
  const refused = await services.fetch('https://h:444').catch(reason)
  expect((refused as UnknownOriginError).known).toEqual(['https://h', 'http://h'])
  for (const url of [
    'http://h:443',
    'https://h:80',
    'https://h.',
    'https://x.h',
    'ws://h',
    'https://h.evil/#https://h',
  ])
    await expect(services.fetch(url), url).rejects.toBeInstanceOf(UnknownOriginError)
})

test('any two ways to write one origin lead to one service, any other leads nowhere', async () => {
  const host = fc.stringMatching(/^[a-z][a-z0-9]{0,6}$/)
  const scheme = fc.constantFrom('http', 'https')
  const origin = fc.record({ scheme, host, port: fc.integer({ min: 1, max: 65_535 }) })
  const standard = { http: 80, https: 443 } as const
  await fc.assert(
    fc.asyncProperty(origin, origin, fc.webPath(), async (own, other, path) => {
      const write = (each: typeof own, spelled: boolean): string => {
        const isStandard = each.port === standard[each.scheme as 'http']
        const port = isStandard && !spelled ? '' : `:${each.port}`
        return `${each.scheme}://${spelled ? each.host.toUpperCase() : each.host}${port}`
      }
      const services = createServices({ own: { origin: write(own, false) } })
      await services.close()
      // A closed client refuses what has come to it, and sends nothing.
      const found = await services.fetch(write(own, true) + path).catch(reason)
      expect(found).not.toBeInstanceOf(UnknownOriginError)
      const isSame = write(own, true) === write(other, true)
      const lost = await services.fetch(write(other, true) + path).catch(reason)
      expect(lost instanceof UnknownOriginError).toBe(!isSame)
    }),
  )
})

test('a relative URL is refused, by rejection, and its secrets are not shown', async () => {
  await using services = testServices({ a: { origin: 'https://a' } })
  const error = await services.fetch('/path?sig=hunter2').catch(reason)
  expect(error).toBeInstanceOf(InvalidOptionError)
  expect((error as Error).message).toMatch(
    /absolute URLs only \(\/path\?sig=\*\*\*\): .* the fetch of the service itself/,
  )
  for (const input of ['hunter2@a/path', '', undefined, null, Symbol('x'), 'https://'])
    await expect(services.fetch(input as never)).rejects.toThrow(/absolute URLs only: /)
})

test("a redirect stays in the pool of the service that made the call, even into another service's origin", async () => {
  await using b = await createOrigin(serveShapes)
  await using a = await createOrigin((seen, reply) =>
    seen.path === '/away'
      ? reply.write(`HTTP/1.1 307 Found\r\nlocation: ${b.url}/ok\r\ncontent-length: 0\r\n\r\n`)
      : serveShapes(seen, reply),
  )
  const secrets = { authorization: 'hunter2', 'x-of': 'a' }
  await using services = testServices({ a: { origin: a.url, headers: secrets }, b: { origin: b.url } })
  const response = await services.fetch(`${a.url}/away`)
  expect([response.url, await response.text()]).toEqual([`${b.url}/ok`, 'ok'])
  expect(b.seen[0]?.headers).toMatch(/x-of: a/)
  expect(b.seen[0]?.headers).not.toMatch(/hunter2/)
  const stats = services.stats()
  expect(Object.keys(stats.a.origins)).toEqual([a.url, b.url])
  expect(stats.b.sockets.opened).toBe(0)
  // The next hop's connection is not the service's, either.
  await (await services.fetch(`${b.url}/ok`)).text()
  expect(b.accepted).toBe(2)
})

test('maxOrigins: 1 keeps a service at its own origin, redirects included', async () => {
  await using b = await createOrigin(serveShapes)
  await using a = await createOrigin((_, reply) =>
    reply.write(`HTTP/1.1 307 Found\r\nlocation: ${b.url}/ok\r\ncontent-length: 0\r\n\r\n`),
  )
  await using services = testServices({ a: { origin: a.url, maxOrigins: 1 }, b: { origin: b.url } })
  await expect(services.fetch(`${a.url}/away`)).rejects.toThrow('fetch failed')
  expect(b.accepted).toBe(0)
})
