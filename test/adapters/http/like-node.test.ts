/** Side by side with Node's own agent: the same bytes, the same events in the same order. */
import { createHash } from 'node:crypto'
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DrainedAgent } from '../../../src/adapters/node-http.ts'
import { createOrigin } from '../../support/origin.ts'
import { pattern, serveShapes } from '../../support/shapes.ts'
import { turns } from '../../support/timers.ts'
import { until } from '../../support/until.ts'
import { read, testAgent } from './support/agents.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

type Act = (request: ClientRequest, response: IncomingMessage) => unknown
/** What has arrived whole is treated, unless `now`. */
const acts: Record<string, { readonly now?: true; readonly act: Act }> = {
  'response.destroy()': { now: true, act: (_, response) => response.destroy() },
  'response.destroy() late': { act: (_, response) => response.destroy() },
  'response.destroy(error) late': { act: (_, response) => response.destroy(new Error('mine')) },
  'request.destroy() late': { act: (request) => request.destroy() },
  'request.destroy(error) late': { act: (request) => request.destroy(new Error('mine')) },
  'request.abort() late': { act: (request) => request.abort() },
  'resume() late': { act: (_, response) => response.resume() },
  'data late': { act: (_, response) => response.on('data', () => {}) },
  'read(1), then destroy() late': {
    act: async (_, response) => {
      response.read(1)
      await turns(3)
      response.destroy()
    },
  },
}
const whole = [
  'one byte',
  'trailers',
  'content-length 0',
  'empty chunked',
  '204',
  'Connection: close',
  'HTTP/1.0',
]
const broken = ['truncated', 'truncated in a chunk', 'malformed chunk']

/** Events of request and response, with what the response says of itself at that moment. */
async function eventsOf(
  agent: http.Agent,
  url: string,
  act: Act,
  isReady: (response: IncomingMessage) => boolean,
  hearsErrors: boolean,
): Promise<string[]> {
  const log: string[] = []
  const request = http.get(url, { agent })
  let response: IncomingMessage | undefined
  for (const event of ['error', 'close', 'abort', 'finish', 'timeout'])
    request.on(event, (value?: Error) => log.push(`request ${event} ${value?.message ?? ''}`))
  await new Promise<void>((resolve) => {
    request.on('response', (incoming) => {
      response = incoming
      const note = (event: string) => (): void => {
        const { complete, aborted, destroyed, readableEnded } = incoming
        log.push(`response ${event} ${JSON.stringify({ complete, aborted, destroyed, readableEnded })}`)
      }
      for (const event of ['end', 'close', 'aborted']) incoming.on(event, note(event))
      if (hearsErrors) incoming.on('error', ({ message }) => log.push(`response error ${message}`))
      if (isReady(incoming)) act(request, incoming)
      resolve()
    })
  })
  const incoming = response as unknown as IncomingMessage
  if (!isReady(incoming)) {
    await until(() => incoming.complete || incoming.destroyed, 'arrived')
    await turns(5)
    await act(request, incoming)
  }
  await until(() => log.some((line) => line.startsWith('request close')), 'closed')
  // Node leaves a response open whose request is destroyed after its socket has closed.
  await turns(20)
  return log
}

for (const [name, { act, now }] of Object.entries(acts)) {
  test(`${name}: the events of node:http`, async () => {
    await using origin = await createOrigin(serveShapes)
    for (const hearsErrors of [true, false]) {
      // A body destroyed in the turn of its head has not arrived for us, though it came in the same packet.
      const shapes = now === true ? ['empty chunked', '64 MiB', ...broken] : [...whole, ...broken]
      for (const shape of shapes) {
        const logs = []
        for (const agent of [
          new http.Agent({ keepAlive: true, maxSockets: 1 }),
          new DrainedAgent({ maxSockets: 1 }),
        ]) {
          const url = `${origin.url}/${encodeURIComponent(shape)}`
          logs.push(await eventsOf(agent, url, act, () => now === true, hearsErrors))
          agent.destroy()
        }
        expect(logs[1], shape).toEqual(logs[0])
      }
    }
  })
}

test('a slow reader whose request is destroyed never takes a part of the body for the whole', async () => {
  await using origin = await createOrigin(serveShapes)
  await using agent = testAgent()
  for (const event of ['data', 'readable'] as const) {
    const request = http.get(`${origin.url}/1%20MiB`, { agent })
    request.on('error', () => {})
    const response = await new Promise<IncomingMessage>((resolve) => request.on('response', resolve))
    const reading =
      event === 'readable'
        ? read(response)
        : new Promise((resolve, reject) => {
            response.on('data', () => response.pause()).on('end', () => resolve(undefined))
            response.on('error', reject)
          })
    reading.catch(() => {})
    await until(() => response.complete, 'received')
    await turns(3)
    if (event === 'readable') {
      // The loop has read it all by now.
      expect(Buffer.compare((await reading) as Buffer, pattern(1024 * 1024))).toBe(0)
    } else {
      request.destroy()
      await expect(reading).rejects.toThrow('aborted')
    }
  }
})

interface Answer {
  readonly framing: 'length' | 'chunked' | 'close'
  readonly parts: readonly number[]
  readonly delays: readonly number[]
  readonly isCut: boolean
}

const answers = fc.record<Answer>({
  framing: fc.constantFrom('length', 'chunked', 'close'),
  parts: fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 80_000 })), {
    maxLength: 8,
  }),
  delays: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 8, maxLength: 8 }),
  isCut: fc.boolean(),
})

const readings = fc.record({
  kind: fc.constantFrom('data', 'readable', 'for await', 'resume', 'destroy'),
  after: fc.integer({ min: 0, max: 6 }),
  pauses: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 4 }),
})

function serve(answer: Answer): http.Server {
  return http.createServer((_, response) => void send(answer, response))
}

async function send(answer: Answer, response: http.ServerResponse): Promise<void> {
  const whole = pattern(answer.parts.reduce((sum, part) => sum + part, 0))
  response.sendDate = false
  if (answer.framing === 'length') response.setHeader('content-length', whole.length)
  if (answer.framing === 'close') response.setHeader('connection', 'close').removeHeader('transfer-encoding')
  if (answer.framing === 'chunked') response.setHeader('trailer', 'x-sum')
  response.flushHeaders()
  let at = 0
  for (const [i, part] of answer.parts.entries()) {
    await turns(answer.delays[i] ?? 0)
    // How much of a reset connection's last bytes arrives is up to the kernel; without a length nobody could tell.
    if (answer.isCut && answer.framing !== 'close' && i === answer.parts.length - 1) {
      response.socket?.resetAndDestroy()
      return
    }
    response.write(whole.subarray(at, (at += part)))
  }
  if (answer.framing === 'chunked') response.addTrailers({ 'x-sum': String(whole.length) })
  response.end()
}

/** The digest of one reading: bytes if it went well, else only that it did not. */
async function readOne(
  agent: http.Agent,
  port: number,
  { kind, after, pauses }: { kind: string; after: number; pauses: readonly number[] },
): Promise<unknown> {
  const request = http.get({ host: '127.0.0.1', port, agent })
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) =>
      request.on('response', resolve).on('error', reject),
    )
    request.on('error', () => {})
    await turns(after)
    if (kind === 'destroy') {
      response.on('error', () => {}).destroy()
      return 'destroyed'
    }
    const chunks: Buffer[] = []
    let i = 0
    const pause = (): number => pauses[i++ % pauses.length] ?? 0
    if (kind === 'for await') {
      for await (const chunk of response) {
        chunks.push(chunk as Buffer)
        await turns(pause())
      }
    } else {
      await new Promise<void>((resolve, reject) => {
        // Who comes after a failure is told nothing any more.
        if (response.destroyed) reject(response.errored ?? new Error('gone'))
        response.on('end', resolve).on('error', reject).on('aborted', reject)
        if (kind === 'resume') response.resume()
        if (kind === 'readable')
          response.on('readable', () => {
            for (let chunk; (chunk = response.read() as Buffer | null) !== null;) chunks.push(chunk)
          })
        if (kind === 'data')
          response.on('data', (chunk: Buffer) => {
            chunks.push(chunk)
            const wait = pause()
            if (wait === 0) return
            response.pause()
            void turns(wait).then(() => response.resume())
          })
      })
    }
    return {
      body: createHash('sha256').update(Buffer.concat(chunks)).digest('hex'),
      trailers: response.trailers,
      complete: response.complete,
    }
  } catch {
    return 'failed'
  }
}

test('random answers and random readers: what Node gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      answers,
      fc.array(readings, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(0, 1_000, 100_000, 1_000_000),
      async (answer, all, readAhead) => {
        const server = serve(answer)
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        const { port } = server.address() as { port: number }
        const node = new http.Agent({ keepAlive: true, maxSockets: 1 })
        const ours = new DrainedAgent({ maxSockets: 1, drain: { readAhead, maxTime: 200 } })
        try {
          for (const reading of all) {
            const [expected, got] = [await readOne(node, port, reading), await readOne(ours, port, reading)]
            expect(got).toEqual(expected)
          }
          await until(() => ours.stats().sockets.draining === 0, 'drains ended')
          ours.destroy()
          await until(() => ours.stats().sockets.open === 0, 'closed')
          const { bodies, bytes } = ours.stats()
          expect({ open: bodies.open, held: bytes.held }).toEqual({ open: 0, held: 0 })
          const { read, drained, closed, reasons } = bodies
          expect(Object.values(reasons).reduce((sum, count) => sum + count, 0)).toBe(read + drained + closed)
        } finally {
          node.destroy()
          ours.destroy()
          server.close()
          server.closeAllConnections()
        }
      },
    ),
    { numRuns: 150 },
  )
}, 60_000)
