/** What `connect` and `timeout.connect` say of connections holds for those a client makes, behind a proxy those to the proxy. */
import http from 'node:http'
import https from 'node:https'
import net, { type LookupFunction } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import type { ClientOptions } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { tls } from '../support/h2.ts'
import { listen, type Listening } from '../support/listen.ts'

const mute = (): Promise<Listening> => listen(net.createServer())
const secure = (): Promise<Listening> => listen(https.createServer(tls, (_, outgoing) => outgoing.end('ok')))

/** Answers what is forwarded to it itself. */
function proxy(): Promise<Listening> {
  const server = http.createServer((_, outgoing) => outgoing.end('ok'))
  server.on('connect', ({ url = '' }, socket) => {
    const through = net.connect(Number(url.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(through).pipe(socket)
    })
    for (const end of [socket, through]) end.on('error', () => {}).on('close', () => through.destroy())
  })
  return listen(server)
}

// undici's own limit is 10 s.
vi.setConfig({ testTimeout: 8_000 })
afterEach(() => vi.unstubAllEnvs())

/** Both ways to name a proxy. */
const ways: Record<string, (url: string) => ClientOptions> = {
  'a URL': (url) => ({ proxy: url }),
  "'env'": (url) => {
    for (const name of ['http_proxy', 'https_proxy', 'no_proxy', 'NO_PROXY']) vi.stubEnv(name, undefined)
    for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) vi.stubEnv(name, url)
    return { proxy: 'env' }
  },
}
const get = async (options: ClientOptions, url: string): Promise<string> => {
  await using client = testClient(options)
  return await (await client.fetch(url)).text()
}
const failure = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error)

test('localAddress is where connections come from', async () => {
  await using origin = await secure()
  await using plain = await proxy()
  const connect = { localAddress: '127.0.0.2' }
  for (const http2 of [true, false]) {
    const options = { connect, http2, tls: { ca: tls.cert } }
    expect(await get(options, `https://localhost:${origin.port}/`)).toBe('ok')
    expect(await get(options, `http://127.0.0.1:${plain.port}/`)).toBe('ok')
  }
  expect([...origin.from, ...plain.from]).toEqual(['127.0.0.2', '127.0.0.2'])
})

test('a localAddress that is none is refused', () => {
  expect(() => testClient({ connect: { localAddress: 'eth0' } })).toThrow(
    /connect\.localAddress must be an IP address/,
  )
})

for (const [way, through] of Object.entries(ways)) {
  test(`proxy as ${way}: localAddress and lookup are for the connection to the proxy`, async () => {
    await using origin = await secure()
    await using between = await proxy()
    const lookup: LookupFunction = (_, options, callback) =>
      options.all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4)
    const connect = { localAddress: '127.0.0.2', lookup }
    const options = { ...through(`http://proxy.invalid:${between.port}`), connect, tls: { ca: tls.cert } }
    expect(await get(options, 'http://nowhere.invalid/')).toBe('ok')
    expect(await get(options, `https://localhost:${origin.port}/`)).toBe('ok')
    expect([...between.from]).toEqual(['127.0.0.2'])
  })

  for (const [what, proxyOf, url] of [
    [
      'a proxy that never answers the handshake',
      (at: Listening) => `https://localhost:${at.port}`,
      'http://nowhere.invalid/',
    ],
    [
      'a proxy that never makes the tunnel',
      (at: Listening) => `http://127.0.0.1:${at.port}`,
      'https://nowhere.invalid/',
    ],
  ] as const) {
    test(`proxy as ${way}: timeout.connect ends the wait for ${what}`, async () => {
      await using silent = await mute()
      const error = await failure(get({ ...through(proxyOf(silent)), timeout: { connect: 100 } }, url))
      expect(error).toMatchObject({ name: 'TimeoutError', phase: 'connect', limit: 100 })
    })
  }

  test(`proxy as ${way}: timeout.connect ends the wait for an origin that never answers the handshake`, async () => {
    await using silent = await mute()
    await using between = await proxy()
    const options = { ...through(`http://127.0.0.1:${between.port}`), timeout: { connect: 200 } }
    const error = await failure(get(options, `https://127.0.0.1:${silent.port}/`))
    expect(error).toMatchObject({ name: 'TimeoutError', phase: 'connect', limit: 200 })
  })
}
