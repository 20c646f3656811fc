/** The bare interceptor on dispatchers of the user's own, with undici's interceptors around it, and under Node's own fetch. */
import diagnostics from 'node:diagnostics_channel'
import { createServer } from 'node:http'
import type { Duplex } from 'node:stream'
import zlib from 'node:zlib'
import {
  Agent,
  type Dispatcher,
  fetch as undiciFetch,
  getGlobalDispatcher,
  interceptors,
  MockAgent,
  pipeline,
  request,
  setGlobalDispatcher,
} from 'undici'
import { afterEach, expect, test } from 'vitest'
import { createClient, drain, fetch } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { listen } from '../support/listen.ts'
import { createOrigin, type Script } from '../support/origin.ts'
import { pattern, serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const initial = getGlobalDispatcher()
afterEach(() => setGlobalDispatcher(initial))

/** No more than is on its way anyway: it is drained however slow the machine seems. */
const size = 64 * 1024

/** `/moved` is a redirect to `/ok` that has a body. */
const serve: Script = async (seen, reply) => {
  if (seen.path !== '/moved') return serveShapes(seen, reply)
  await reply.write(`HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: ${size}\r\n\r\n`)
  await reply.write(pattern(size))
}

test('the bare interceptor keeps the connection of cancelled and of unread bodies under undici.fetch and request', async () => {
  await using origin = await createOrigin(serveShapes)
  const agent = new Agent({ connections: 2 })
  const dispatcher = agent.compose(drain())
  for (let i = 0; i < 20; i++)
    await (await undiciFetch(`${origin.url}/at%20readAhead`, { dispatcher })).body?.cancel()
  for (let i = 0; i < 20; i++) {
    const { body } = await request(`${origin.url}/at%20readAhead`, { dispatcher })
    body.on('error', () => {}).destroy()
  }
  const kept: unknown[] = []
  for (let i = 0; i < 20; i++) kept.push(await undiciFetch(`${origin.url}/at%20readAhead`, { dispatcher }))
  for (let i = 0; i < 20; i++) kept.push(await request(`${origin.url}/at%20readAhead`, { dispatcher }))
  expect(origin.accepted).toBeLessThanOrEqual(2)
  expect(kept).toHaveLength(40)
  await agent.destroy()
})

test("setGlobalDispatcher puts Node's own fetch on it: 50 unread answers, few connections", async () => {
  await using origin = await createOrigin(serveShapes)
  const agent = new Agent({ connections: 3 })
  setGlobalDispatcher(agent.compose(drain()))
  const kept: Response[] = []
  for (let i = 0; i < 50; i++) kept.push(await globalThis.fetch(`${origin.url}/at%20readAhead`))
  expect(origin.accepted).toBeLessThanOrEqual(3)
  expect((await (kept[49] as Response).arrayBuffer()).byteLength).toBe(size)
  await agent.destroy()
})

test("Node's own fetch follows redirects whose bodies it forgets, without losing connections", async () => {
  await using origin = await createOrigin(serve)
  const client = createClient({ connections: 4 })
  for (let i = 0; i < 20; i++) {
    const response = await globalThis.fetch(`${origin.url}/moved`, {
      dispatcher: client.dispatcher,
    } as object)
    expect(await response.text()).toBe('ok')
  }
  expect(origin.accepted).toBeLessThanOrEqual(4)
  await client.destroy()
})

const orders: [string, (agent: Agent) => Dispatcher][] = [
  [
    'drain innermost',
    (agent) =>
      agent.compose(
        drain(),
        interceptors.retry({ minTimeout: 1 }),
        interceptors.redirect({ maxRedirections: 3 }),
      ),
  ],
  [
    'drain outermost',
    (agent) =>
      agent.compose(
        interceptors.retry({ minTimeout: 1 }),
        interceptors.redirect({ maxRedirections: 3 }),
        drain(),
      ),
  ],
  [
    'drain twice',
    (agent) =>
      agent.compose(
        drain(),
        interceptors.retry({ minTimeout: 1 }),
        interceptors.redirect({ maxRedirections: 3 }),
        drain(),
      ),
  ],
]

test.each(orders)(
  "with undici's retry and redirect, %s: exact bytes, one connection or two",
  async (_, compose) => {
    let failures = 0
    await using origin = await createOrigin(async (seen, reply) => {
      if (seen.path !== '/flaky' || ++failures % 3 === 0) return serve(seen, reply)
      await reply.write(`HTTP/1.1 503 Busy\r\ncontent-length: ${size}\r\n\r\n`)
      await reply.write(pattern(size))
    })
    const agent = new Agent({ connections: 2 })
    const dispatcher = compose(agent)
    for (let i = 0; i < 5; i++) {
      const { body, statusCode } = await request(`${origin.url}/flaky`, { dispatcher })
      expect([statusCode, await body.text()]).toEqual([200, 'ok'])
      const moved = await request(`${origin.url}/moved`, { dispatcher })
      expect(await moved.body.text()).toBe('ok')
    }
    expect(origin.accepted).toBeLessThanOrEqual(2)
    await agent.destroy()
  },
)

test("undici's retry composed on a client's dispatcher, given to its fetch: each body is counted once", async () => {
  let calls = 0
  await using origin = await createOrigin(async (seen, reply) => {
    if (++calls % 2 === 0) return serveShapes(seen, reply)
    await reply.write(`HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy`)
  })
  await using client = testClient()
  const dispatcher = client.dispatcher.compose(interceptors.retry({ minTimeout: 1 }))
  for (let i = 0; i < 3; i++)
    expect(await (await client.fetch(`${origin.url}/ok`, { dispatcher })).text()).toBe('ok')
  expect(calls).toBe(6)
  expect(client.stats().bodies).toMatchObject({ read: 6, drained: 0, closed: 0 })
})

test('redirects of an interceptor below: every connection is known, none is counted twice', async () => {
  await using origin = await createOrigin(serveShapes)
  const agent = new Agent({ connections: 4 }).compose(interceptors.redirect({ maxRedirections: 3 }))
  const client = createClient({ dispatcher: agent })
  for (let i = 0; i < 4; i++) {
    const { body } = await request(`${origin.url}/moved`, { dispatcher: client.dispatcher })
    expect(await body.text()).toBe('ok')
  }
  await until(() => client.stats().sockets.idle === origin.accepted, 'all idle')
  expect(client.stats()).toMatchObject({
    sockets: { open: origin.accepted, opened: origin.accepted, inFlight: 0 },
    requests: { waiting: 0, inFlight: 0 },
  })
  await agent.destroy()
})

test("with undici's decompress, dns and cache on top: the bytes are theirs, the sockets ours", async () => {
  const coded = zlib.gzipSync(pattern(100_000))
  let answered = 0
  const server = createServer((_, outgoing) => {
    answered++
    outgoing.setHeader('content-encoding', 'gzip')
    outgoing.setHeader('cache-control', 'public, max-age=60')
    outgoing.end(coded)
  })
  await using listening = await listen(server)
  const url = `${listening.url}/`
  const agent = new Agent({ connections: 2 })
  const dispatcher = agent.compose(
    drain(),
    interceptors.dns(),
    interceptors.decompress(),
    interceptors.cache(),
  )
  for (let i = 0; i < 3; i++) {
    const { body } = await request(url, { dispatcher })
    expect(Buffer.compare(Buffer.from(await body.arrayBuffer()), pattern(100_000))).toBe(0)
  }
  expect(answered).toBe(1)
  await agent.destroy()
})

test('above a MockAgent: mocked answers come through, read or not', async () => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  mock.get('http://mocked.test').intercept({ path: '/a' }).reply(200, 'mocked').persist()
  const dispatcher = mock.compose(drain())
  for (let i = 0; i < 3; i++) await undiciFetch('http://mocked.test/a', { dispatcher })
  expect(await (await undiciFetch('http://mocked.test/a', { dispatcher })).text()).toBe('mocked')
  const client = createClient({ dispatcher: mock })
  expect(await (await client.fetch('http://mocked.test/a')).text()).toBe('mocked')
  await client.close()
  await mock.close()
})

test('above a MockAgent: an empty answer holds nothing', async () => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  mock.get('http://service.test').intercept({ path: '/' }).reply(200)
  const client = createClient({ dispatcher: mock })
  const response = await client.fetch('http://service.test/')
  await until(() => client.stats().requests.inFlight === 0, 'it has arrived')
  expect(client.stats().bodies.holding).toBe(0)
  expect(await response.text()).toBe('')
  expect(client.stats().bodies).toMatchObject({ open: 0, holding: 0 })
  await client.close()
  await mock.close()
})

test('the default fetch honours a MockAgent set as global dispatcher, and init.dispatcher', async () => {
  const mock = new MockAgent()
  mock.get('http://mocked.test').intercept({ path: '/b' }).reply(200, 'global').times(2)
  setGlobalDispatcher(mock)
  expect(await (await fetch('http://mocked.test/b')).text()).toBe('global')
  setGlobalDispatcher(initial)
  expect(await (await fetch('http://mocked.test/b', { dispatcher: mock })).text()).toBe('global')
  await mock.close()
})

test('whatever can dispatch is a dispatcher to a call; what cannot is refused by name', async () => {
  await using origin = await createOrigin(serveShapes)
  const agent = new Agent({ connections: 1 })
  await using client = testClient()
  // Made by hand, or by an undici that had no compose yet.
  const given = {
    dispatch: (opts: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) =>
      agent.dispatch(opts, handler),
  }
  const dispatcher = given as unknown as Dispatcher
  for (const init of [{}, { cache: 'no-cache' }, { retry: 2 }] as const) {
    await client.fetch(`${origin.url}/one%20byte`, { ...init, dispatcher })
    expect(await (await client.fetch(`${origin.url}/ok`, { ...init, dispatcher })).text()).toBe('ok')
  }
  expect(origin.accepted).toBe(1)
  setGlobalDispatcher(dispatcher)
  expect(await (await fetch(`${origin.url}/ok`)).text()).toBe('ok')
  for (const bad of [{}, 'agent', 5]) {
    const call = client.fetch(`${origin.url}/ok`, { dispatcher: bad as unknown as Dispatcher })
    await expect(call).rejects.toMatchObject({
      code: 'ERR_DRAINED_INVALID_OPTION',
      option: 'init.dispatcher',
    })
  }
  await agent.close()
})

test('upgrade and CONNECT pass untouched', async () => {
  const server = createServer()
  const hello = (socket: { end(text: string): void }, line: string): void =>
    socket.end(`HTTP/1.1 ${line}\r\n\r\nhello`)
  server.on('upgrade', (_, socket) =>
    hello(socket, '101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x'),
  )
  server.on('connect', (_, socket) => hello(socket, '200 OK'))
  await using listening = await listen(server)
  const origin = listening.url
  const client = createClient({ connections: 2 })
  for (const socket of [
    (await client.dispatcher.upgrade({ path: '/', protocol: 'x', origin } as never)).socket,
    (await client.dispatcher.connect({ path: 'host:1', origin })).socket,
  ]) {
    let text = ''
    for await (const bytes of socket) text += String(bytes)
    expect(text).toBe('hello')
  }
  expect(client.stats().bodies).toMatchObject({ open: 0, read: 0, drained: 0, closed: 0 })
  await client.close()
})

for (const [way, refuse] of [
  [
    'throws',
    () => {
      throw new Error('refused')
    },
  ],
  ['aborts', (controller: Dispatcher.DispatchController) => controller.abort(new Error('refused'))],
] as const) {
  test(`a handler that ${way} when it gets its upgrade hears of the end, as under undici`, async () => {
    let isGone = false
    const server = createServer()
    server.on('upgrade', (_, socket) => {
      socket.on('error', () => {}).on('end', () => socket.end())
      socket.on('close', () => (isGone = true))
      socket.resume().write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
    })
    await using listening = await listen(server)
    const origin = listening.url
    const over: unknown[] = []
    const onOver = (message: unknown): void => void over.push(message)
    diagnostics.subscribe('drained:request', onOver)
    await using client = testClient()
    const agent = new Agent()
    for (const dispatcher of [agent, client.dispatcher]) {
      const heard: string[] = []
      isGone = false
      dispatcher.dispatch(
        { origin, path: '/', method: 'GET', upgrade: 'x' },
        {
          onRequestStart: () => {},
          onRequestUpgrade: (controller) => refuse(controller),
          onResponseError: (_, error) => void heard.push(error.message),
        },
      )
      await until(() => isGone, 'the socket is closed')
      expect(heard).toEqual(['refused'])
    }
    await agent.close()
    expect(over).toMatchObject([{ status: 101 }])
    diagnostics.unsubscribe('drained:request', onOver)
  })
}

test('a socket that was upgraded belongs to no pool any more, and is in no number', async () => {
  const server = createServer()
  server.on('upgrade', (_, socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
  })
  await using listening = await listen(server)
  const origin = listening.url
  const client = createClient({ connections: 2 })
  const upgraded: Duplex[] = []
  for (let i = 0; i < 3; i++)
    upgraded.push((await client.dispatcher.upgrade({ path: '/', protocol: 'x', origin } as never)).socket)
  expect(client.stats().sockets).toMatchObject({ open: 0, idle: 0, inFlight: 0, opened: 3, reset: 0 })
  for (const socket of upgraded) socket.destroy()
  await client.close()
})

test('pipeline: what goes through comes back', async () => {
  const server = createServer((incoming, outgoing) => void incoming.pipe(outgoing))
  await using listening = await listen(server)
  const url = `${listening.url}/`
  const client = createClient()
  const duplex = pipeline(url, { method: 'POST', dispatcher: client.dispatcher }, ({ body }) => body)
  duplex.end('echo')
  let text = ''
  for await (const bytes of duplex) text += String(bytes)
  expect(text).toBe('echo')
  await client.close()
})

test('credentials in the origin of a dispatched request are in no event and no number', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient()
  const events: unknown[] = []
  const note = (message: unknown): void => void events.push(message)
  const channels = ['drained:body', 'drained:connection'].map((name) => diagnostics.channel(name))
  for (const channel of channels) channel.subscribe(note)
  const target = origin.url.replace('//', '//me:hunter2@')
  await new Promise<void>((resolve, reject) => {
    client.dispatcher.dispatch(
      { origin: target, path: '/ok', method: 'GET' },
      { onRequestStart() {}, onResponseEnd: () => resolve(), onResponseError: (_, error) => reject(error) },
    )
  })
  for (const channel of channels) channel.unsubscribe(note)
  expect(events.length).toBeGreaterThan(0)
  expect(JSON.stringify([events, client.stats()])).not.toContain('hunter2')
})

test('a Request as init keeps its method and body when the default fetch goes to a global dispatcher', async () => {
  await using origin = await createOrigin(serveShapes)
  const agent = new Agent()
  setGlobalDispatcher(agent)
  const send = (init: Request): Promise<string> =>
    fetch(`${origin.url}/ok`, init).then((response) => response.text())
  await send(new Request(origin.url, { method: 'DELETE', headers: { 'x-mine': 'y' } }))
  await send(new Request(origin.url, { method: 'PUT', body: 'x' }))
  expect(origin.seen.map(({ method }) => method)).toEqual(['DELETE', 'PUT'])
  expect(origin.seen[0]?.headers).toContain('x-mine: y')
  expect(origin.seen[1]?.headers).toContain('transfer-encoding: chunked')
  setGlobalDispatcher(initial)
  await agent.destroy()
})
