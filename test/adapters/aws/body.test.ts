/** The stream that the SDK gets: any reader, however and whenever it reads, gets the bytes of any answer; an error, never less. */
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { awsRequestHandler } from '../../../src/adapters/aws.ts'
import { testClient } from '../../support/client.ts'
import { createOrigin, type Reply } from '../../support/origin.ts'
import { pattern } from '../../support/shapes.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

type Read = (body: Readable, step: number) => Promise<Buffer>

const collect = async (source: AsyncIterable<Uint8Array | string>): Promise<Buffer> => {
  const parts: Buffer[] = []
  for await (const part of source) parts.push(Buffer.from(part as Uint8Array))
  return Buffer.concat(parts)
}

const readers: Record<string, Read> = {
  'a loop': (body) => collect(body),
  'a loop that takes its time': async (body) => {
    const parts: Buffer[] = []
    for await (const part of body) {
      parts.push(part as Buffer)
      await turn()
    }
    return Buffer.concat(parts)
  },
  'data events': (body) =>
    new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      body.on('data', (part: Buffer) => parts.push(part))
      body.on('end', () => resolve(Buffer.concat(parts))).on('error', reject)
    }),
  'data events, paused at once and after each': (body) =>
    new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      body.on('data', (part: Buffer) => {
        parts.push(part)
        body.pause()
        setImmediate(() => body.resume())
      })
      body.on('end', () => resolve(Buffer.concat(parts))).on('error', reject)
      body.pause()
      setImmediate(() => setImmediate(() => body.resume()))
    }),
  'readable events and read(n)': (body, step) =>
    new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      body.on('readable', () => {
        let part = body.read(step) as Buffer | null
        for (; part !== null; part = body.read(step) as Buffer | null) parts.push(part)
        if ((part = body.read() as Buffer | null) !== null) parts.push(part)
      })
      body.on('end', () => resolve(Buffer.concat(parts))).on('error', reject)
    }),
  'read() of a paused stream, again and again': async (body) => {
    const parts: Buffer[] = []
    let failure: Error | undefined
    body.on('error', (error) => (failure = error))
    body.pause()
    while (!body.readableEnded) {
      if (failure !== undefined) throw failure
      const part = body.read() as Buffer | null
      if (part !== null) parts.push(part)
      await turn()
    }
    return Buffer.concat(parts)
  },
  'a pipeline into a slow sink': async (body) => {
    const parts: Buffer[] = []
    const sink = new Writable({
      highWaterMark: 100,
      write(part: Buffer, _, done) {
        parts.push(part)
        setImmediate(done)
      },
    })
    await pipeline(body, sink)
    return Buffer.concat(parts)
  },
  'a web stream': (body) => collect(Readable.toWeb(body) as AsyncIterable<Uint8Array>),
  'an encoding': async (body) => Buffer.from((await collect(body.setEncoding('hex'))).toString(), 'hex'),
  'another reader after the first': async (body) => {
    const parts: Buffer[] = []
    for await (const part of body.iterator({ destroyOnReturn: false })) {
      parts.push(part as Buffer)
      break
    }
    await turn()
    return Buffer.concat([...parts, await collect(body)])
  },
}

interface Answer {
  readonly parts: readonly number[]
  readonly isChunked: boolean
  readonly isCut: boolean
  readonly delays: readonly boolean[]
}

const answers: fc.Arbitrary<Answer> = fc.record({
  parts: fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 300_000 })), {
    maxLength: 8,
  }),
  isChunked: fc.boolean(),
  isCut: fc.boolean(),
  delays: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
})

const lengthOf = ({ parts }: Answer): number => parts.reduce((sum, part) => sum + part, 0)

async function send(answer: Answer, reply: Reply): Promise<void> {
  const { parts, isChunked, isCut, delays } = answer
  const bytes = pattern(lengthOf(answer))
  const framing = isChunked
    ? 'transfer-encoding: chunked'
    : `content-length: ${bytes.length + (isCut ? 1 : 0)}`
  await reply.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`)
  let at = 0
  for (const [index, length] of parts.entries()) {
    const part = bytes.subarray(at, (at += length))
    if (isChunked) await reply.write(`${length.toString(16)}\r\n`)
    await reply.write(part)
    if (isChunked) await reply.write('\r\n')
    if (delays[index]) await turn()
  }
  if (isCut) return reply.end()
  if (isChunked) await reply.write('0\r\n\r\n')
}

for (const [name, read] of Object.entries(readers)) {
  test(`property: ${name}`, async () => {
    let answer: Answer
    await using origin = await createOrigin((_, reply) => send(answer, reply))
    await using client = testClient({ connections: 1, drain: { readAhead: 100_000 } })
    const handler = awsRequestHandler(client)
    const { port } = origin
    const request = { method: 'GET', protocol: 'http:', hostname: '127.0.0.1', port, path: '/', headers: {} }
    await fc.assert(
      fc.asyncProperty(answers, fc.nat(3), fc.integer({ min: 1, max: 70_000 }), async (given, wait, step) => {
        answer = given
        const { response } = await handler.handle(request)
        for (let i = 0; i < wait; i++) await turn()
        if (given.isCut) {
          await expect(read(response.body, step)).rejects.toMatchObject({ code: 'ECONNRESET' })
        } else {
          const bytes = await read(response.body, step)
          expect(bytes.equals(pattern(lengthOf(given)))).toBe(true)
        }
      }),
      { numRuns: 40 },
    )
  }, 60_000)
}
