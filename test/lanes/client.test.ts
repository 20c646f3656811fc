/** A client as a whole: its life, its numbers, its events, and what people put into fetch. */
import diagnostics from 'node:diagnostics_channel'
import { createServer } from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { Readable } from 'node:stream'
import nodeFetch from 'node-fetch'
import { Agent, request } from 'undici'
import { expect, test, vi } from 'vitest'
import { type BodyEvent, createClient, discard, fetch } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { tls } from '../support/h2.ts'
import { listen } from '../support/listen.ts'
import { createOrigin } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'
import { socketsInTimeWait } from '../support/sockets.ts'
import { needsTool } from '../support/tools.ts'
import { until } from '../support/until.ts'

test('a relative URL, default headers and the statistics of one service', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({
    origin: origin.url,
    name: 'blob',
    headers: { 'x-ms-version': '2026-02-06', accept: 'a/b' },
  })
  await (await client.fetch('/ok?comp=list', { headers: { accept: 'c/d' } })).text()
  expect(origin.seen[0]).toMatchObject({ path: '/ok?comp=list' })
  expect(origin.seen[0]?.headers).toMatch(/x-ms-version: 2026-02-06/)
  expect(origin.seen[0]?.headers).toMatch(/accept: c\/d/)
  const stats = client.stats()
  expect(stats).toMatchObject({
    name: 'blob',
    sockets: { open: 1, inFlight: 0, opened: 1, reused: 0, reset: 0 },
    bodies: { open: 0, read: 1, reasons: { complete: 1 } },
    bytes: { read: 2, drained: 0, unread: 0, held: 0 },
  })
  expect(stats.origins[origin.url]).toMatchObject({ sockets: { opened: 1 } })
  expect(stats.origins[origin.url]?.connectMs).toBeGreaterThan(0)
  expect(structuredClone(stats)).toEqual(stats)
})

test('every body is published once, with its outcome and without its secrets', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ name: 'events' })
  const events: BodyEvent[] = []
  const listen = (event: unknown): void => void events.push(event as BodyEvent)
  diagnostics.subscribe('drained:body', listen)
  await (await client.fetch(`${origin.url}/ok?sig=hunter2`)).text()
  await (await client.fetch(`${origin.url}/64%20MiB?sv=1&sig=hunter2`)).body?.cancel()
  await until(() => events.length === 2, 'two events')
  diagnostics.unsubscribe('drained:body', listen)
  expect(events.map(({ outcome, reason, endedBy, path }) => [outcome, reason, endedBy, path])).toEqual([
    ['read', 'complete', 'reader', '/ok?sig=***'],
    ['closed', 'bytes', 'reader', '/64%20MiB?sv=1&sig=***'],
  ])
})

test('connections are published when they open and close', async () => {
  await using origin = await createOrigin(serveShapes)
  const seen: string[] = []
  const listen = (event: unknown): void => {
    const { state, reset, requests } = event as { state: string; reset: boolean; requests: number }
    seen.push(`${state} ${reset} ${requests}`)
  }
  diagnostics.subscribe('drained:connection', listen)
  const client = createClient({ connections: 1 })
  await works(client, origin.url)
  await (await client.fetch(`${origin.url}/64%20MiB`)).body?.cancel()
  await until(() => seen.length === 2, 'opened and closed')
  diagnostics.unsubscribe('drained:connection', listen)
  expect(seen).toEqual(['opened false 1', 'closed true 2'])
  await client.close()
})

test('await using closes; a closed client refuses with the error of fetch', async () => {
  await using origin = await createOrigin(serveShapes)
  let closed
  {
    await using client = createClient()
    await works(client, origin.url)
    closed = client
  }
  const error: unknown = await closed.fetch(`${origin.url}/ok`).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(TypeError)
  expect((error as Error).cause).toMatchObject({ code: 'UND_ERR_CLOSED' })
})

test('close waits for a body somebody reads and takes untouched ones after stall', async () => {
  await using origin = await createOrigin(serveShapes)
  const client = createClient({ connections: 4, drain: { stall: 100 } })
  const read = await client.fetch(`${origin.url}/64%20MiB`)
  const untouched = await client.fetch(`${origin.url}/64%20MiB`)
  const reading = read.arrayBuffer()
  await client.close()
  expect((await reading).byteLength).toBe(64 * 1024 * 1024)
  await expect(untouched.text()).rejects.toThrow('terminated')
})

test('destroy gives its own error to readers, also on a dispatcher of the user, which stays open', async () => {
  await using origin = await createOrigin(serveShapes)
  const agent = new Agent({ connections: 2 })
  const client = createClient({ dispatcher: agent })
  const response = await client.fetch(`${origin.url}/64%20MiB`)
  await client.destroy(new Error('shutting down'))
  const error: unknown = await response.text().catch((reason: unknown) => reason)
  expect((error as Error).cause).toMatchObject({ message: 'shutting down' })
  expect(await (await request(`${origin.url}/ok`, { dispatcher: agent })).body.text()).toBe('ok')
  await agent.close()
})

test('a process with an unread body and a drain under way exits by itself', async () => {
  await using origin = await createOrigin(serveShapes)
  const { execFile } = await import('node:child_process')
  const script = `
    import { createClient } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)}
    const client = createClient()
    await client.fetch('${origin.url}/chunked')
    await client.fetch('${origin.url}/stalled%20in%20a%20chunk').then((r) => r.body.cancel())
    console.log('done')`
  const stdout = await new Promise<string>((resolve, reject) =>
    execFile(process.execPath, ['--input-type=module', '-e', script], { timeout: 15_000 }, (error, out) =>
      error === null ? resolve(out) : reject(error),
    ),
  )
  expect(stdout.trim()).toBe('done')
})

test("Node's own Request and FormData are sent as they are meant", async () => {
  const server = createServer((incoming, outgoing) => {
    outgoing.setHeader('x-type', incoming.headers['content-type'] ?? '')
    incoming.pipe(outgoing)
  })
  await using listening = await listen(server)
  const url = `${listening.url}/`
  const form = new FormData()
  form.set('name', new File(['content'], 'a.txt'))
  const sent = await fetch(url, { method: 'POST', body: form })
  expect(sent.headers.get('x-type')).toMatch(/^multipart\/form-data; boundary=/)
  expect(await sent.text()).toContain('filename="a.txt"')
  const echoed = await fetch(
    new Request(url, { method: 'PUT', body: 'hello', headers: { 'content-type': 'a/b' } }),
  )
  expect([echoed.headers.get('x-type'), await echoed.text()]).toEqual(['a/b', 'hello'])
})

test('discard ends whatever it is given, within bounds, and says what it did', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ connections: 8, drain: { maxTime: 100 } })
  const at = (name: string): Promise<Response> => client.fetch(`${origin.url}/${encodeURIComponent(name)}`)
  const bounds = { maxTime: 100, maxBytes: 200_000 }
  expect(await discard(undefined)).toMatchObject({ outcome: 'read' })
  expect(await discard(42)).toMatchObject({ outcome: 'unknown' })
  expect(await discard(await at('chunked'), bounds)).toMatchObject({ outcome: 'drained', bytes: 102_400 })
  expect(await discard(await at('64 MiB'), bounds)).toMatchObject({ outcome: 'closed' })
  expect(await discard(await at('endless trickle'), bounds)).toMatchObject({ outcome: 'closed' })
  expect(await discard(await at('stalled in a chunk'), bounds)).toMatchObject({ outcome: 'closed', bytes: 3 })
  const read = await at('chunked')
  await read.text()
  expect(await discard(read, bounds)).toMatchObject({ outcome: 'read', bytes: 0 })
  const cloned = await at('64 MiB')
  const clone = cloned.clone()
  expect(await discard(cloned, bounds)).toMatchObject({ outcome: 'closed' })
  expect(await discard(clone, bounds)).toMatchObject({ outcome: 'closed' })
  const locked = await at('64 MiB')
  const reader = locked.body?.getReader()
  expect(await discard(locked, bounds)).toMatchObject({ outcome: 'closed' })
  await expect(reader?.read()).rejects.toThrow()
  expect(
    await discard((await request(`${origin.url}/chunked`, { dispatcher: client.dispatcher })).body),
  ).toMatchObject({ outcome: 'drained' })
  expect(await discard(await nodeFetch(`${origin.url}/chunked`))).toMatchObject({
    outcome: 'drained',
    bytes: 102_400,
  })
  expect(await discard(await globalThis.fetch(`${origin.url}/chunked`), bounds)).toMatchObject({
    outcome: 'drained',
  })
  expect(await discard(Readable.from(['a', 'b']))).toMatchObject({ outcome: 'drained', bytes: 2 })
  expect(await discard(new Readable({ read: () => {} }), bounds)).toMatchObject({ outcome: 'closed' })
  expect(
    await discard(
      Readable.from([])
        .destroy(new Error('x'))
        .on('error', () => {}),
    ),
  ).toMatchObject({ outcome: 'read' })
  await until(() => client.stats().bodies.open === 0, 'all ended')
})

for (const kind of ['http', 'https'] as const) {
  test.runIf(needsTool('Linux'))(
    `30 bodies given up over ${kind} leave no TIME_WAIT towards the origin`,
    async () => {
      const answer = (_: unknown, outgoing: import('node:http').ServerResponse): void => {
        outgoing.on('error', () => {}).writeHead(200, { 'content-length': 64 * 1024 * 1024 })
        outgoing.write(Buffer.alloc(256 * 1024))
      }
      const server = kind === 'http' ? createServer(answer) : https.createServer(tls, answer)
      await using listening = await listen(server)
      const { port } = listening
      // The port may have been somebody's, whose connections are still in TIME_WAIT.
      const before = socketsInTimeWait(port)
      const client = createClient({ connections: 4, tls: { ca: tls.cert } })
      for (let i = 0; i < 30; i++) await (await client.fetch(`${kind}://localhost:${port}/`)).body?.cancel()
      await until(() => client.stats().sockets.open === 0, 'closed')
      expect(client.stats().sockets.reset).toBe(30)
      expect(socketsInTimeWait(port)).toBeLessThanOrEqual(before)
      await client.close()
    },
  )
}

test('through a proxy the contract is the same', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    const name = URL.parse(seen.path)?.pathname ?? seen.path
    await serveShapes({ ...seen, path: name }, reply)
  })
  // The origin plays its own proxy: it is sent absolute URLs.
  await using client = testClient({ connections: 2, proxy: origin.url })
  for (let i = 0; i < 10; i++) await (await client.fetch('http://elsewhere.test/1%20MiB')).body?.cancel()
  expect(await (await client.fetch('http://elsewhere.test/ok')).text()).toBe('ok')
  expect(origin.accepted).toBeLessThanOrEqual(2)
  expect(origin.seen[0]?.path).toBe('http://elsewhere.test/1%20MiB')
})

test('a request with a query of its own is seen on its connection', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient()
  const { body } = await request(`${origin.url}/ok`, {
    dispatcher: client.dispatcher,
    query: { comp: 'list' },
  })
  expect(await body.text()).toBe('ok')
  expect(origin.seen[0]?.path).toBe('/ok?comp=list')
  expect(client.stats().sockets).toMatchObject({ open: 1, opened: 1 })
})

test('maxOrigins and connectionLifetime are honoured', async () => {
  await using origin = await createOrigin(serveShapes)
  const client = createClient({ connections: 1, maxOrigins: 1, connectionLifetime: 30 })
  await works(client, origin.url)
  await expect(client.fetch('http://127.0.0.2:1/')).rejects.toThrow('fetch failed')
  await new Promise((resolve) => setTimeout(resolve, 60))
  await works(client, origin.url)
  expect(origin.accepted).toBe(2)
  await client.close()
})

test("proxy 'env' tunnels to https origins with the TLS options of the client", async () => {
  const server = https.createServer(tls, (_, outgoing) => outgoing.end('ok'))
  const proxy = createServer()
  proxy.on('connect', (incoming, socket) => {
    const [, port] = (incoming.url ?? '').split(':')
    const through = net.connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(through).pipe(socket)
    })
    for (const end of [socket, through]) end.on('error', () => {})
  })
  await using there = await listen(server)
  await using between = await listen(proxy)
  vi.stubEnv('HTTPS_PROXY', between.url)
  vi.stubEnv('NO_PROXY', '')
  const client = createClient({ proxy: 'env', tls: { ca: tls.cert } })
  expect(await (await client.fetch(`https://localhost:${there.port}/`)).text()).toBe('ok')
  vi.unstubAllEnvs()
  await client.destroy()
})
