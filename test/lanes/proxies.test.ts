/** SOCKS proxies of the environment are spoken to in the clear, and `timeout.connect` of any value is one behind a proxy, too. */
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import https from 'node:https'
import { afterEach, expect, test, vi } from 'vitest'
import type { ClientOptions } from '../../src/index.ts'
import { resolveClient } from '../../src/options.ts'
import { createAgent } from '../../src/wire/agent.ts'
import { testClient } from '../support/client.ts'
import { tls } from '../support/h2.ts'

interface Rig extends AsyncDisposable {
  readonly port: number
}

async function listen(server: net.Server): Promise<Rig> {
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => sockets.add(socket.on('error', () => {})))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: close }
}

function join(one: net.Socket, other: net.Socket): void {
  one.pipe(other).pipe(one)
  one.on('close', () => other.destroy())
  other.on('error', () => {}).on('close', () => one.destroy())
}

/** Version 5 (RFC 1928) without authentication; whatever it is asked for is on loopback. */
const socks = (): Promise<Rig> =>
  listen(
    net.createServer((socket) => {
      socket.once('data', (greeting) => {
        if (greeting[0] !== 5) return socket.destroy()
        socket.write(Buffer.from([5, 0]))
        socket.once('data', (wanted) => {
          const through = net.connect(wanted.readUInt16BE(wanted.length - 2), '127.0.0.1', () => {
            socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
            join(socket, through)
          })
        })
        return undefined
      })
    }),
  )

const forwarding = (): Promise<Rig> =>
  listen(
    http.createServer().on('connect', ({ url = '' }, socket: net.Socket) => {
      const through = net.connect(Number(url.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        join(socket, through)
      })
    }),
  )

const ok: http.RequestListener = (_, outgoing) => void outgoing.end('ok')
const plain = (): Promise<Rig> => listen(http.createServer(ok))
const secure = (): Promise<Rig> => listen(https.createServer(tls, ok))

function env(url: string): ClientOptions {
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy', 'NO_PROXY']) vi.stubEnv(name, undefined)
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) vi.stubEnv(name, url)
  return { proxy: 'env', tls: { ca: tls.cert } }
}
afterEach(() => vi.unstubAllEnvs())

async function get(options: ClientOptions, url: string): Promise<string> {
  await using client = testClient(options)
  return await (await client.fetch(url)).text()
}

test('a SOCKS proxy of the environment is spoken to without TLS', async () => {
  await using proxy = await socks()
  await using http1 = await plain()
  await using tls1 = await secure()
  const options = env(`socks5://127.0.0.1:${proxy.port}`)
  expect(await get(options, `http://localhost:${http1.port}/`)).toBe('ok')
  expect(await get(options, `https://localhost:${tls1.port}/`)).toBe('ok')
})

test('what undici would speak TLS to a SOCKS proxy for is refused', () => {
  const options = { ...env('socks5://127.0.0.1:1'), connect: { localAddress: '127.0.0.2' } }
  expect(() => testClient(options)).toThrow(/connect cannot be combined with proxy: 'env'.+SOCKS/)
})

const kinds = { 'SOCKS proxy': ['socks5', socks], 'HTTP proxy': ['http', forwarding] } as const
for (const [kind, [scheme, create]] of Object.entries(kinds)) {
  test.each([0, Infinity, 10_000 / 3])(`${kind} with timeout.connect of %s`, async (connect) => {
    await using proxy = await create()
    await using origin = await secure()
    const options = { ...env(`${scheme}://127.0.0.1:${proxy.port}`), timeout: { connect } }
    expect(await get(options, `https://localhost:${origin.port}/`)).toBe('ok')
  })
}

/** Of undici's own: no test waits until its 300 s are over. */
function hidden(object: object, name: string): unknown {
  const key = Object.getOwnPropertySymbols(object).find(({ description }) => description === name)
  return object[key as never]
}

test.each([0, Infinity])(
  'with timeout.connect of %s the tunnel has no limit, not even that of undici',
  async (connect) => {
    const { dispatcher } = createAgent(resolveClient({ proxy: 'http://127.0.0.1:1', timeout: { connect } }))
    const pool = hidden(dispatcher, 'proxy client') as object
    expect(hidden(pool, 'options')).toMatchObject({ headersTimeout: 0 })
    await dispatcher.close()
  },
)
