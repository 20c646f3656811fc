/**
 * The keep-alive race with real servers: requests sent at the moment in which the server ends idle connections. Those that lose
 * it die before any byte of an answer, on a kept connection; an idempotent one is sent again.
 */
import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Client } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { tls } from '../support/h2.ts'
import { createOrigin } from '../support/origin.ts'
import { caddy, haproxy, needs, nginx, start } from '../support/servers/index.ts'
import { serveShapes } from '../support/shapes.ts'

const idle = 500
const rounds = { http: 20, https: 10 }
/** A handshake of TLS takes so much of this process that more of them would be late for the race. */
const connections = { http: 50, https: 8 }
/** Milliseconds around the limit: where the server has decided, and its FIN is not here yet. */
const around = 6

/** The body has come when this resolves, so that the server's clock runs. */
async function call(client: Client, url: string): Promise<void> {
  const response = await client.fetch(`${url}/ok`)
  expect(await response.text()).toBe('ok')
}

for (const kind of [nginx, haproxy, caddy]) {
  describe.runIf(needs(kind))(kind.command, () => {
    for (const scheme of ['http', 'https'] as const) {
      const count = connections[scheme]
      test(`${scheme}: ${count * rounds[scheme]} GETs at the idle limit, none fails`, async () => {
        await using origin = await createOrigin(serveShapes)
        await using server = await start(kind, { backend: origin.port, idle })
        const url = scheme === 'http' ? server.url : `https://127.0.0.1:${server.tlsPort}`
        const failures: unknown[] = []
        let [resent, opened] = [0, 0]
        // Each has a connection of its own, whose idle time is known.
        const one = async (at: number): Promise<void> => {
          await using client = testClient({ tls: { ca: tls.cert } })
          // Not all at once: they would wait for each other, and be late.
          await setTimeout((idle * at) / count)
          await call(client, url)
          for (let round = 0; round < rounds[scheme]; round++) {
            const since = performance.now()
            const gap = idle + (((round * count + at) * 7919) % (2 * around * 10)) / 10 - around
            await setTimeout(gap - 4)
            // The rest exactly: a timer may be late.
            while (performance.now() - since < gap) await new Promise(setImmediate)
            await call(client, url).catch((error: unknown) => failures.push(error))
          }
          const { requests, sockets } = client.stats()
          resent += requests.resent
          opened += sockets.opened
        }
        await Promise.all(Array.from({ length: count }, (_, at) => one(at)))
        console.log(`${kind.command}, ${scheme}: ${resent} sent again, ${opened} connections`)
        expect(failures).toEqual([])
        // The server did end some of them.
        expect(opened).toBeGreaterThan(count)
      }, 60_000)
    }
  })
}
