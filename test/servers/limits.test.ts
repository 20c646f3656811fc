/** The keep-alive limits of real servers: how many requests, how long idle. Both end a connection, and neither ends a call. */
import { describe, expect, test } from 'vitest'
import { testClient, works } from '../support/client.ts'
import { tls } from '../support/h2.ts'
import { createOrigin } from '../support/origin.ts'
import { apache, createRelay, needs, nginx, reverseProxies, start } from '../support/servers/index.ts'
import { serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

/** nginx announces its last answer with `Connection: close`, Apache counts `max` down before. */
for (const kind of [nginx, apache]) {
  describe.runIf(needs(kind))(kind.command, () => {
    test('a limit of 10 requests is kept to: 100 unread calls in turn, nothing is lost, nothing sent twice', async () => {
      await using origin = await createOrigin(serveShapes)
      await using server = await start(kind, { backend: origin.port, requests: 10 })
      await using relay = await createRelay(server.port)
      await using client = testClient()
      const url = `http://127.0.0.1:${relay.port}`
      for (let i = 0; i < 99; i++) expect((await client.fetch(`${url}/chunked`)).status).toBe(200)
      await works(client, url)
      expect(relay.accepted).toBe(10)
      expect(origin.seen).toHaveLength(100)
      expect(client.stats().requests.resent).toBe(0)
    })

    for (const scheme of ['http', 'https'] as const) {
      test(`${scheme}: a limit of 10 requests is kept to by 8 calls at a time`, async () => {
        await using origin = await createOrigin(serveShapes)
        await using server = await start(kind, { backend: origin.port, requests: 10 })
        await using client = testClient({ connections: 8, tls: { ca: tls.cert } })
        const url = scheme === 'http' ? server.url : `https://127.0.0.1:${server.tlsPort}`
        const calls = Array.from({ length: 8 }, async () => {
          for (let i = 0; i < 50; i++) await works(client, url)
        })
        await Promise.all(calls)
        expect(origin.seen).toHaveLength(400)
      })
    }
  })
}

describe.runIf(needs(apache))('apache2', () => {
  test('its hint of 2 s does not cost a connection per call', async () => {
    await using origin = await createOrigin(serveShapes)
    await using server = await start(apache, { backend: origin.port, idle: 2_000 })
    await using relay = await createRelay(server.port)
    await using client = testClient()
    const url = `http://127.0.0.1:${relay.port}`
    const response = await client.fetch(`${url}/ok`)
    expect(response.headers.get('keep-alive')).toMatch(/^timeout=2/)
    for (let i = 0; i < 20; i++) await works(client, url)
    // One would do, but for a machine that stands still for seconds.
    expect(relay.accepted).toBeLessThanOrEqual(3)
  })
})

for (const [name, kind] of Object.entries(reverseProxies)) {
  describe.runIf(needs(kind))(name, () => {
    for (const scheme of ['http', 'https'] as const) {
      test(`${scheme}: an idle connection the server ends is gone before the next call`, async () => {
        await using origin = await createOrigin(serveShapes)
        await using server = await start(kind, { backend: origin.port, idle: 1_000 })
        await using client = testClient({ tls: { ca: tls.cert } })
        const url = scheme === 'http' ? server.url : `https://127.0.0.1:${server.tlsPort}`
        for (let i = 1; i <= 2; i++) {
          await works(client, url)
          await until(() => client.stats().sockets.open === 0, 'closed by the server')
          expect(client.stats().sockets.opened).toBe(i)
        }
        expect(client.stats().requests.resent).toBe(0)
      })
    }
  })
}
