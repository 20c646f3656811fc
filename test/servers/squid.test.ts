/** Through squid as a forward proxy: absolute URLs for http:, a tunnel for https:. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testClient, works } from '../support/client.ts'
import { createHttp2Origin, tls } from '../support/h2.ts'
import { createOrigin } from '../support/origin.ts'
import { createRelay, needs, type Server, squid, start } from '../support/servers/index.ts'
import { pattern, serveShapes } from '../support/shapes.ts'

const most = 3
const unread: Record<string, number> = {
  'empty chunked, last chunk later': 200,
  chunked: 200,
  '1 MiB': 50,
  '404 with 256 KiB': 100,
  moved: 50,
}

describe.runIf(needs(squid))('squid', () => {
  let server: Server
  beforeAll(async () => {
    server = await start(squid)
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  for (const [shape, count] of Object.entries(unread)) {
    test(`${count} unread answers, ${shape}, use at most ${most} connections to the proxy`, async () => {
      await using origin = await createOrigin(serveShapes)
      await using relay = await createRelay(server.port)
      await using client = testClient({ connections: most, proxy: `http://127.0.0.1:${relay.port}` })
      const kept: Response[] = []
      for (let i = 0; i < count; i++)
        kept.push(await client.fetch(`${origin.url}/${encodeURIComponent(shape)}`))
      await works(client, origin.url)
      expect(origin.seen[0]?.headers).toContain('via:')
      expect(kept.filter(({ status }) => status < 500)).toHaveLength(count)
      expect(relay.accepted).toBeLessThanOrEqual(most)
      for (const response of kept) await response.body?.cancel()
    })
  }

  test('20 given-up answers of 64 MiB are cut short, and the next call is answered', async () => {
    await using origin = await createOrigin(serveShapes)
    await using relay = await createRelay(server.port)
    await using client = testClient({ connections: most, proxy: `http://127.0.0.1:${relay.port}` })
    for (let i = 0; i < 20; i++) await (await client.fetch(`${origin.url}/64%20MiB`)).body?.cancel()
    await works(client, origin.url)
    expect(client.stats().bodies.closed).toBe(20)
    expect(client.stats().sockets.reset).toBe(20)
    expect(relay.accepted).toBeLessThanOrEqual(most + 20)
  })

  test(`200 unread answers of 100 KiB over https: use at most ${most} tunnels`, async () => {
    const body = pattern(100 * 1024)
    await using origin = await createHttp2Origin((stream, path) => {
      stream.respond({ ':status': 200 })
      stream.end(path === '/ok' ? 'ok' : body)
    })
    await using relay = await createRelay(server.port)
    await using client = testClient({
      connections: most,
      proxy: `http://127.0.0.1:${relay.port}`,
      tls: { ca: tls.cert },
    })
    const url = origin.url.replace('localhost', '127.0.0.1')
    const kept: Response[] = []
    for (let i = 0; i < 200; i++) kept.push(await client.fetch(`${url}/x`))
    await works(client, url)
    expect(kept).toHaveLength(200)
    expect(relay.accepted).toBeLessThanOrEqual(most)
    expect(origin.sessions).toBe(relay.accepted)
    for (const response of kept) await response.body?.cancel()
  })
})
