/** 0 and Infinity are no limit, undici's own included; and a limit longer than undici's own is the one that counts. By undici's own clock. */
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import type { ClientOptions, TimeoutOptions } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin, type Reply } from '../support/origin.ts'
import { until } from '../support/until.ts'

const timers = createRequire(import.meta.url)('undici/lib/util/timers.js') as { tick(ms: number): void }

/** Far more than its 300 s, in which nothing has come. */
async function passes(ms: number): Promise<void> {
  // The first turn only takes up what has been set.
  for (const step of [1, ms]) {
    timers.tick(step)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const lanes = { 'short lane': {}, 'long lane': { window: null } }
const head = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n'
const limits = [undefined, 0, Infinity, 2_000_000] as const

for (const [lane, init] of Object.entries(lanes)) {
  for (const where of ['client', 'call'] as const) {
    for (const limit of limits) {
      const options = (name: keyof TimeoutOptions): [ClientOptions, object] => {
        const timeout = limit === undefined ? {} : { [name]: limit }
        return where === 'client' ? [{ timeout }, init] : [{}, { ...init, timeout }]
      }
      const ends = limit === undefined
      const outcome = ends ? 'end after undici’s own time' : 'may come when they like'

      test(`${lane}: headers ${outcome}: ${limit} of a ${where}`, async () => {
        let late: Reply | undefined
        await using origin = await createOrigin((_, reply) => void (late = reply))
        const [given, own] = options('headers')
        await using client = testClient(given)
        const call = client.fetch(origin.url, own as never).then(
          (response) => response.text(),
          (error: Error) => (error.cause as { code?: string }).code,
        )
        await until(() => late !== undefined, 'it is asked')
        await passes(400_000)
        await late?.write(`${head}late`)
        expect(await call).toBe(ends ? 'UND_ERR_HEADERS_TIMEOUT' : 'late')
      })

      test(`${lane}: parts of a body ${outcome}: ${limit} of a ${where}`, async () => {
        let late: Reply | undefined
        await using origin = await createOrigin(async (_, reply) => {
          await reply.write(`${head}la`)
          late = reply
        })
        const [given, own] = options('body')
        await using client = testClient(given)
        const { body } = await client.fetch(origin.url, own)
        const reader = (body as ReadableStream<Uint8Array>).getReader()
        expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('la')
        const rest = reader.read().then(
          ({ value }) => Buffer.from(value ?? []).toString(),
          (error: Error) => (error.cause as { code?: string }).code,
        )
        await passes(400_000)
        await late?.write('te')
        expect(await rest).toBe(ends ? 'UND_ERR_BODY_TIMEOUT' : 'te')
        await reader.cancel().catch(() => {})
      })
    }
  }

  for (const limit of limits) {
    test(`${lane}: a connection ${limit === undefined ? 'has 10 s' : 'has the time it needs'}: connect is ${limit}`, async () => {
      let failed = false
      await using mute = await createOrigin(() => {})
      await using client = testClient({ timeout: limit === undefined ? {} : { connect: limit } })
      const abort = new AbortController()
      const call = client
        .fetch(`https://127.0.0.1:${mute.port}/`, { ...init, signal: abort.signal })
        .catch((error: Error) => {
          failed = true
          return (error.cause as { code?: string } | undefined)?.code
        })
      await until(() => mute.accepted === 1, 'it connects')
      await passes(20_000)
      if (limit === undefined) await until(() => failed, 'it has failed')
      expect(failed).toBe(limit === undefined)
      abort.abort()
      expect(await call).toBe(limit === undefined ? 'UND_ERR_CONNECT_TIMEOUT' : undefined)
    })
  }
}
