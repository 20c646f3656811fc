/** However and whenever a response is read, its reader gets the same bytes. */
import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { createOrigin } from '../../support/origin.ts'
import { pattern, serveShapes } from '../../support/shapes.ts'
import { until } from '../../support/until.ts'
import { get, read, testAgent, works } from './support/agents.ts'

const readers: Record<string, (response: IncomingMessage) => Promise<Buffer>> = {
  'for await': read,
  'data listeners': (response) =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      response
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('end', () => resolve(Buffer.concat(chunks)))
        .on('error', reject)
    }),
  'readable and read()': (response) =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      response
        .on('readable', () => {
          for (let chunk; (chunk = response.read() as Buffer | null) !== null;) chunks.push(chunk)
        })
        .on('end', () => resolve(Buffer.concat(chunks)))
        .on('error', reject)
    }),
  'read() by polling': async (response) => {
    const chunks: Buffer[] = []
    while (!response.readableEnded) {
      const chunk = response.read() as Buffer | null
      if (chunk === null) await turn()
      else chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  },
  'read(7)': async (response) => {
    const chunks: Buffer[] = []
    for (let i = 0; !response.readableEnded; i++) {
      const chunk = response.read(response.readableLength > 7 ? 7 : undefined) as Buffer | null
      if (chunk !== null) chunks.push(chunk)
      if (chunk === null || i % 64 === 0) await turn()
    }
    return Buffer.concat(chunks)
  },
  pipe: (response) => buffer(response.pipe(new PassThrough())),
  pipeline: async (response) => {
    const through = new PassThrough({ highWaterMark: 10 })
    const [whole] = await Promise.all([buffer(through), pipeline(response, through)])
    return whole
  },
  'setEncoding latin1': async (response) => {
    response.setEncoding('latin1')
    let text = ''
    for await (const part of response) text += part as string
    return Buffer.from(text, 'latin1')
  },
  'Readable.toWeb': async (response) => {
    const web = Readable.toWeb(response) as ReadableStream<Uint8Array>
    return Buffer.from(await new Response(web).arrayBuffer())
  },
  'toArray()': async (response) => Buffer.concat((await response.toArray()) as Buffer[]),
  'pause() and resume() at every chunk': (response) =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      response
        .on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          response.pause()
          setImmediate(() => response.resume())
        })
        .on('end', () => resolve(Buffer.concat(chunks)))
        .on('error', reject)
    }),
  'unshift() of the first chunk': async (response) => {
    await new Promise<void>((resolve) =>
      response.once('data', (first: Buffer) => {
        response.pause()
        response.unshift(first)
        resolve()
      }),
    )
    return buffer(response)
  },
}

const lengths: Record<string, number> = {
  'one byte': 1,
  'content-length 0': 0,
  'at readAhead': 64 * 1024,
  'readAhead and one': 64 * 1024 + 1,
  chunked: 100 * 1024,
  '1 MiB': 1024 * 1024,
  trailers: 1_000,
}

for (const [how, reader] of Object.entries(readers)) {
  for (const when of ['at once', 'many turns later', 'after others have used the socket'] as const) {
    test(`${how}, ${when}: every byte`, async () => {
      await using origin = await createOrigin(serveShapes)
      // In one case the second half of the shapes cannot be received ahead.
      for (const readAhead of [1024 * 1024, 64 * 1024]) {
        await using agent = testAgent({ maxSockets: 8, drain: { readAhead } })
        for (const [name, length] of Object.entries(lengths)) {
          if (how === 'unshift() of the first chunk' && length === 0) continue
          const { response } = await get(`${origin.url}/${encodeURIComponent(name)}`, { agent })
          if (when === 'many turns later') for (let i = 0; i < 20; i++) await turn()
          if (when === 'after others have used the socket') {
            if (length <= readAhead) await until(() => agent.stats().requests.inFlight === 0, 'received')
            for (let i = 0; i < 3; i++) await works(agent, origin.url)
          }
          const ended = finished(response, { cleanup: true })
          expect(Buffer.compare(await reader(response), pattern(length)), name).toBe(0)
          await ended
          expect(response.complete).toBe(true)
          if (name === 'trailers') expect(response.trailers).toEqual({ 'x-sum': '1' })
        }
        await until(() => agent.stats().bodies.open === 0, 'all read')
        expect(agent.stats().bodies.drained + agent.stats().bodies.closed).toBe(0)
      }
    })
  }
}
