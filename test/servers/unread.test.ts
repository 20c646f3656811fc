/**
 * Behind real proxies, over HTTP/1.1 and HTTP/2: answers nobody reads cost no connection, counted by a relay in front of the proxy.
 * The service behind is raw: its empty chunked answers end in a later packet.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientOptions } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { tls } from '../support/h2.ts'
import { createOrigin, type Origin } from '../support/origin.ts'
import { createRelay, needs, reverseProxies, type Server, start } from '../support/servers/index.ts'
import { serveShapes } from '../support/shapes.ts'

/** In total, not at once: a connection lost to a body would be seen as one more. */
const most = 3

/** Calls kept and not read; of the large ones, no more than the memory for what is held ahead takes. */
const unread: Record<string, number> = {
  'empty chunked, last chunk later': 200,
  chunked: 200,
  '1 MiB': 50,
  '404 with 256 KiB': 100,
  moved: 50,
}

for (const [name, kind] of Object.entries(reverseProxies)) {
  describe.runIf(needs(kind))(name, () => {
    let origin: Origin
    let server: Server
    beforeAll(async () => {
      origin = await createOrigin(serveShapes)
      server = await start(kind, { backend: origin.port })
    })
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]()
      await origin.close()
    })

    const versions: [string, ClientOptions, (port: number) => string][] = [
      ['HTTP/1.1', {}, (port) => `http://127.0.0.1:${port}`],
      ['HTTP/2', { tls: { ca: tls.cert } }, (port) => `https://127.0.0.1:${port}`],
    ]
    for (const [version, options, urlOf] of versions) {
      const relayed = async (connections = most): Promise<Behind> => {
        const relay = await createRelay(version === 'HTTP/2' ? server.tlsPort : server.port)
        const client = testClient({ ...options, connections })
        const url = urlOf(relay.port)
        return {
          relay,
          client,
          url,
          async [Symbol.asyncDispose]() {
            await client[Symbol.asyncDispose]()
            await relay[Symbol.asyncDispose]()
          },
        }
      }

      for (const [shape, count] of Object.entries(unread)) {
        test(`${version}: ${count} unread answers, ${shape}, use at most ${most} connections`, async () => {
          await using behind = await relayed()
          const { client, url, relay } = behind
          const kept: Response[] = []
          for (let i = 0; i < count; i++) kept.push(await client.fetch(`${url}/${encodeURIComponent(shape)}`))
          await works(client, url)
          expect(kept.filter(({ status }) => status < 500)).toHaveLength(count)
          expect(relay.accepted).toBeLessThanOrEqual(most)
          expect(client.stats().sockets.opened).toBe(relay.accepted)
          // What they hold is memory of the next test, too.
          for (const response of kept) await response.body?.cancel()
        })
      }

      test(`${version}: 50 given-up answers of 256 KiB are all accounted for, and the next call is answered`, async () => {
        await using behind = await relayed()
        const { client, url, relay } = behind
        for (let i = 0; i < 50; i++)
          await (await client.fetch(`${url}/404%20with%20256%20KiB`)).body?.cancel()
        await works(client, url)
        const { bodies, sockets } = client.stats()
        expect(bodies.drained + bodies.closed).toBe(50)
        // One that is cheaper to open again than to drain; over HTTP/2 the stream is reset, and the connection stays.
        expect(relay.accepted).toBeLessThanOrEqual(most + (version === 'HTTP/2' ? 0 : sockets.reset))
      })

      test(`${version}: 20 given-up answers of 64 MiB are cut short`, async () => {
        await using behind = await relayed()
        const { client, url, relay } = behind
        for (let i = 0; i < 20; i++) await (await client.fetch(`${url}/64%20MiB`)).body?.cancel()
        await works(client, url)
        const { bodies, sockets } = client.stats()
        expect(bodies.closed).toBe(20)
        // Over HTTP/2 it is the streams that are reset.
        if (version === 'HTTP/1.1') expect(sockets.reset).toBe(20)
        else expect(relay.accepted).toBeLessThanOrEqual(most)
      })
    }

    test('an empty chunked answer that ends 300 ms late leaves a pool of one usable', async () => {
      await using slow = await createOrigin(async ({ path }, reply) => {
        await reply.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
        if (path === '/ok') await reply.write('2\r\nok\r\n')
        else await new Promise((resolve) => setTimeout(resolve, 300))
        await reply.write('0\r\n\r\n')
      })
      await using server = await start(kind, { backend: slow.port })
      await using relay = await createRelay(server.port)
      await using client = testClient()
      const kept: Response[] = []
      for (let i = 0; i < 5; i++) kept.push(await client.fetch(`http://127.0.0.1:${relay.port}/late`))
      await works(client, `http://127.0.0.1:${relay.port}`)
      expect(kept).toHaveLength(5)
      expect(relay.accepted).toBe(1)
    })
  })
}

interface Behind extends AsyncDisposable {
  readonly relay: Awaited<ReturnType<typeof createRelay>>
  readonly client: ReturnType<typeof testClient>
  readonly url: string
}
