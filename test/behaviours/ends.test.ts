/** close(), destroy() and an abort in every state that a call can be in: who waits is told, and nothing is left. */
import net, { type AddressInfo } from 'node:net'
import { Agent, request } from 'undici'
import { expect, test } from 'vitest'
import { type Client, type ClientOptions, createClient, type FetchInit } from '../../src/index.ts'
import { works } from '../support/client.ts'
import { createHttp2Origin, tls } from '../support/h2.ts'
import { createOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'

/** The error that a caller got, wherever it stands in the chain of causes. */
async function endOf(call: Promise<unknown>): Promise<unknown> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return (error as { cause?: unknown } | undefined)?.cause ?? error
}

test('destroy() ends a call that waits for a connection of a dispatcher of the user, which never sends it', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path !== '/held') await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    else await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n')
  })
  const agent = new Agent({ connections: 1 })
  const held = await request(`${origin.url}/held`, { dispatcher: agent })
  const client = createClient({ dispatcher: agent })
  const gone = new Error('gone')
  const ends = [client.fetch(`${origin.url}/late`), client.fetch(`${origin.url}/late`, { cache: 'no-cache' })]
  const ended = ends.map(endOf)
  await until(() => client.stats().requests.waiting === 2, 'waits')
  await client.destroy(gone)
  for (const each of ended) expect(await each).toBe(gone)
  expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: 0 })
  held.body.on('error', () => {}).destroy()
  expect(await (await request(`${origin.url}/ok`, { dispatcher: agent })).body.text()).toBe('ok')
  expect(origin.seen.map(({ path }) => path)).toEqual(['/held', '/ok'])
  await agent.close()
})

test('destroy() after close() ends calls whose connection is still being made', async () => {
  // Takes connections and says nothing: the handshake never ends.
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => sockets.add(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = createClient({ connections: 1 })
  const gone = new Error('gone')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ended = [endOf(client.fetch(url)), endOf(client.fetch(url))]
  await until(() => sockets.size === 1, 'connected')
  const closed = client.close()
  await client.destroy(gone)
  // Not undici's error, which comes after 10 s.
  for (const each of ended) expect(await each).toBe(gone)
  expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: 0 })
  const stopped = new Promise((resolve) => server.close(resolve))
  for (const socket of sockets) socket.destroy()
  await closed
  await stopped
})

/** A client, and an origin that goes on only once it may: after `/late` and `/early` were asked, in the middle of the other bodies. */
interface Bed {
  readonly client: Client
  readonly url: string
  readonly init: FetchInit
  /** Paths of requests that have reached the origin. */
  readonly seen: () => readonly string[]
  readonly mayGoOn: Promise<void>
}

/** Brings a call into a state; what it returns comes to the end of that call. */
type State = (bed: Bed) => Promise<() => Promise<unknown>>

const asked = ({ seen }: Bed, path: string): Promise<void> =>
  until(() => seen().includes(path), `${path} was asked`)

/** Sends what has to be answered, and waits until it is on the wire. */
const awaiting =
  (path: string, wanted = path, more: FetchInit = {}): State =>
  async (bed) => {
    const text = bed.client.fetch(bed.url + path, { ...bed.init, ...more }).then((answer) => answer.text())
    text.catch(() => {})
    await asked(bed, wanted)
    return () => text
  }

const states: Record<string, State> = {
  'waits for its answer': awaiting('/late'),
  'has had an early hint': awaiting('/early'),
  'has been redirected': awaiting('/moved', '/late'),
  'is being read': async (bed) => {
    const text = (await bed.client.fetch(`${bed.url}/body`, bed.init)).text()
    text.catch(() => {})
    return () => text
  },
  'is paused by its reader': async ({ client, url, init }) => {
    const { body } = await client.fetch(`${url}/body`, init)
    const reader = (body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    return async () => {
      while (!(await reader.read()).done);
    }
  },
  'is drained': async ({ client, url, init }) => {
    await (await client.fetch(`${url}/body`, init)).body?.cancel()
    return () => Promise.resolve()
  },
  'has an unread body': async ({ client, url, init }) => {
    const answer = await client.fetch(`${url}/body`, init)
    return () => answer.text()
  },
}

const onHttp1: Record<string, State> = {
  ...states,
  'waits in the queue': async (bed) => {
    const first = await awaiting('/late')(bed)
    const second = bed.client.fetch(`${bed.url}/late`, bed.init).then((answer) => answer.text())
    second.catch(() => {})
    await until(() => bed.client.stats().requests.waiting === 1, 'it waits')
    return () => Promise.all([first(), second])
  },
  'is held back for a connection about to be free': async (bed) => {
    await (await bed.client.fetch(`${bed.url}/body`, bed.init)).body?.cancel()
    const text = bed.client.fetch(`${bed.url}/late`, bed.init).then((answer) => answer.text())
    text.catch(() => {})
    return () => text
  },
  'is being sent': async (bed) => {
    async function* parts(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10)
      await bed.mayGoOn
    }
    const body = ReadableStream.from<Uint8Array>(parts())
    const init = { ...bed.init, method: 'POST', body, duplex: 'half' } as const
    const text = bed.client.fetch(`${bed.url}/ok`, init).then((answer) => answer.text())
    text.catch(() => {})
    await until(() => bed.client.stats().requests.inFlight === 1, 'it is being sent')
    return () => text
  },
  'waits for its upgrade': async (bed) => {
    const upgrade = bed.client.dispatcher.upgrade({
      origin: bed.url,
      path: '/up',
      protocol: 'x',
      signal: bed.init.signal,
    } as never)
    const ended = upgrade.then(({ socket }) => socket.on('error', () => {}).destroy())
    ended.catch(() => {})
    await asked(bed, '/up')
    return () => ended
  },
}

interface Ground extends AsyncDisposable {
  readonly url: string
  /** Connections, or streams of one, that are open. */
  readonly open: () => number
}

async function ground(isHttp2: boolean, paths: string[], mayGoOn: Promise<void>): Promise<Ground> {
  if (isHttp2) {
    const origin = await createHttp2Origin((stream, path) => {
      paths.push(path)
      if (path === '/moved') return stream.respond({ ':status': 302, location: '/late' }, { endStream: true })
      if (path === '/early') stream.additionalHeaders({ ':status': 103 })
      if (path === '/body') stream.respond({ 'content-length': 10 })
      if (path === '/body') stream.write('abc')
      void (path === '/ok' ? Promise.resolve() : mayGoOn).then(() => {
        if (stream.destroyed) return
        if (path !== '/body') stream.respond({})
        stream.end(path === '/body' ? 'defghij' : 'ok')
      })
    })
    return Object.assign(origin, { open: () => origin.openStreams })
  }
  const origin = await createOrigin(async ({ path }, reply) => {
    paths.push(path)
    if (path === '/moved') {
      await reply.write('HTTP/1.1 302 Found\r\nlocation: /late\r\ncontent-length: 0\r\n\r\n')
      return
    }
    if (path === '/early') await reply.write('HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n')
    if (path === '/body') await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc')
    if (path !== '/ok') await mayGoOn
    if (path === '/up')
      await reply.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
    else await reply.write(path === '/body' ? 'defghij' : 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  })
  return { url: origin.url, open: () => origin.open, [Symbol.asyncDispose]: () => origin.close() }
}

interface Lane {
  readonly states: Record<string, State>
  readonly init?: FetchInit
  readonly isHttp2?: true
  readonly options: () => ClientOptions
  /** Its connections are of its own making. */
  readonly isOwn: boolean
}

const own = (): ClientOptions => ({ connections: 1 })
const lanes: Record<string, Lane> = {
  'short lane': { states: onHttp1, options: own, isOwn: true },
  'long lane': { states: onHttp1, options: own, isOwn: true, init: { cache: 'no-cache' } },
  'HTTP/2': {
    states,
    options: () => ({ ...own(), tls: { ca: tls.cert } }),
    isOwn: true,
    isHttp2: true,
  },
  'a dispatcher of the user': {
    states: onHttp1,
    options: () => ({ dispatcher: new Agent({ connections: 1 }) }),
    isOwn: false,
  },
  'a fetch of the user': { states, options: () => ({ fetch: globalThis.fetch }), isOwn: false },
}

/** That keep the process alive. */
const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length

const gone = new Error('gone')
const ways: Record<string, (client: Client, goOn: () => void) => Promise<void>[]> = {
  'close()': (client, goOn) => {
    const closed = client.close()
    goOn()
    return [closed]
  },
  'destroy()': (client) => [client.destroy(gone)],
  'close() and destroy()': (client) => [client.close(), client.destroy(gone)],
}

for (const [name, lane] of Object.entries(lanes)) {
  for (const [what, reach] of Object.entries(lane.states)) {
    for (const [way, end] of Object.entries(ways)) {
      test(`${name}: ${way} while a call ${what}: it ends, and nothing is left`, async () => {
        const before = timers()
        const paths: string[] = []
        const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>()
        await using origin = await ground(lane.isHttp2 === true, paths, mayGoOn)
        const options = lane.options()
        if (lane.isOwn && what.includes('held back')) options.connections = 2
        const client = createClient({ ...options, drain: { readAhead: 5 } })
        const { init = {} } = lane
        const call = await reach({ client, url: origin.url, init, seen: () => paths, mayGoOn })
        let isOver = false
        const over = end(client, goOn)
        const ended = endOf(call()).finally(() => (isOver = true))
        await until(() => isOver, 'the call has ended')
        if (way === 'close()' || what === 'is drained') expect(await ended).toBeUndefined()
        else expect(await ended).toBe(gone)
        let isClosed = false
        void Promise.all(over).then(() => (isClosed = true))
        await until(() => isClosed, 'it is closed')
        await until(() => client.stats().sockets.open === 0 || !lane.isOwn, 'no connection is left')
        expect(client.stats()).toMatchObject({
          requests: { waiting: 0, inFlight: 0 },
          bodies: { open: 0, holding: 0 },
          bytes: { held: 0 },
          sockets: { draining: 0 },
          processHeld: 0,
        })
        if (lane.isOwn) await until(() => origin.open() === 0, 'the origin has none either')
        await until(() => timers() <= before, 'no timer keeps the process alive')
        goOn()
        await (options.dispatcher as Agent | undefined)?.destroy()
      })
    }
  }
}

for (const [name, lane] of Object.entries(lanes)) {
  for (const [what, reach] of Object.entries(lane.states)) {
    test(`${name}: an abort while a call ${what}: it ends, and the next call has its place`, async () => {
      const paths: string[] = []
      const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>()
      await using origin = await ground(lane.isHttp2 === true, paths, mayGoOn)
      const options = lane.options()
      if (lane.isOwn && what.includes('held back')) options.connections = 2
      const client = createClient({ ...options, drain: { readAhead: 5, maxTime: 50 } })
      const controller = new AbortController()
      const init = { ...lane.init, signal: controller.signal }
      const call = await reach({ client, url: origin.url, init, seen: () => paths, mayGoOn })
      let isOver = false
      controller.abort(gone)
      const ended = endOf(call()).finally(() => (isOver = true))
      await until(() => isOver, 'the call has ended')
      expect(await ended).toBe(what === 'is drained' ? undefined : gone)
      await works(client, origin.url)
      goOn()
      await until(() => client.stats().sockets.draining === 0, 'drained')
      expect(client.stats()).toMatchObject({ requests: { waiting: 0, inFlight: 0 }, bodies: { open: 0 } })
      await client.close()
      await (options.dispatcher as Agent | undefined)?.close()
    })
  }
}
