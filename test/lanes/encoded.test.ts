/** Encoded bodies that end otherwise than their framing says: nothing of them holds the connection, and a limit holds while they come. */
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { pipeline, Readable } from 'node:stream'
import zlib from 'node:zlib'
import { expect, test } from 'vitest'
import { ResponseTooLargeError } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { createOrigin, type Reply, type Script } from '../support/origin.ts'
import { pattern, serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'

const KiB = 1024
const MiB = 1024 * KiB
const text = 'a text that is worth compressing '.repeat(400)
const coders: Record<string, (bytes: Buffer) => Buffer> = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: zlib.brotliCompressSync,
  zstd: zlib.zstdCompressSync,
  'gzip, br': (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes)),
  'br, gzip': (bytes) => zlib.gzipSync(zlib.brotliCompressSync(bytes)),
}
const encode = (coding: string, bytes: Buffer): Buffer => (coders[coding] as (bytes: Buffer) => Buffer)(bytes)

const head = (coding: string, framing: string): string =>
  `HTTP/1.1 200 OK\r\ncontent-encoding: ${coding}\r\n${framing}\r\n\r\n`

async function sendFixed(reply: Reply, coding: string, body: Buffer): Promise<void> {
  await reply.write(head(coding, `content-length: ${body.length}`))
  for (let at = 0; at < body.length && reply.isOpen; at += 64 * KiB)
    await reply.write(body.subarray(at, at + 64 * KiB))
}

const junk = pattern(10 * MiB)
/** Grows when it is encoded. */
const noise = randomBytes(700)

/** A deflate block that is stored, not the last, and holds nothing. */
const emptyBlock = Buffer.from([0, 0, 0, 0xff, 0xff])

function* randomBlocks(): Generator<Buffer> {
  for (;;) yield randomBytes(64 * KiB)
}

/** Pieces of an encoded body without an end. */
async function* endless(coding: string, kind: string): AsyncGenerator<Buffer> {
  if (coding === 'br') {
    const coder = zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 0 } })
    const whole = pipeline(Readable.from(randomBlocks()), coder, () => {})
    yield* whole as AsyncIterable<Buffer>
    return
  }
  if (kind === 'blocks') {
    // A header, and then blocks of one byte, among empty ones: hardly anything comes of it.
    yield zlib.gzipSync('').subarray(0, 10)
    const blocks = [...Array<Buffer>(600).fill(emptyBlock), Buffer.from([0, 1, 0, 0xfe, 0xff, 65])]
    const some = Buffer.concat(Array<Buffer>(20).fill(Buffer.concat(blocks)))
    for (;;) yield some
  }
  // Whole members, which gzip and zstd allow one after another.
  const some = Buffer.concat(Array<Buffer>(1_000).fill(encode(coding, Buffer.alloc(16 * KiB, 'x'))))
  for (;;) yield some
}

const serve: Script = async (seen, reply) => {
  const [, kind = '', coding = '', more = ''] = decodeURIComponent(seen.path).split('/')
  if (kind === 'garbage') return sendFixed(reply, coding, Buffer.alloc(10 * MiB, 0xfe))
  if (kind === 'bad') return sendFixed(reply, coding, Buffer.alloc(64, 0xfe))
  if (kind === 'trailing')
    return sendFixed(
      reply,
      coding,
      Buffer.concat([encode(coding, Buffer.from(text)), more === 'little' ? junk.subarray(0, 100) : junk]),
    )
  if (kind === 'small') return sendFixed(reply, coding, encode(coding, noise))
  if (kind === 'padded') return sendFixed(reply, coding, Buffer.alloc(3_000, 0xfe))
  if (kind === 'endless') {
    await reply.write(head(coding, 'transfer-encoding: chunked'))
    for await (const bytes of endless(coding, more)) {
      if (!reply.isOpen) return
      await reply.write(`${bytes.length.toString(16)}\r\n`)
      await reply.write(bytes)
      await reply.write('\r\n')
    }
  }
  await serveShapes(seen, reply)
}

async function readAll(response: Response): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of response.body as ReadableStream<Uint8Array>) parts.push(part)
  return Buffer.concat(parts)
}

const lanes = [
  ['short lane', {}],
  ['long lane', { cache: 'no-cache' }],
] as const

for (const [lane, init] of lanes) {
  for (const coding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, br']) {
    test(`${lane}: a stream of ${coding} that is none of it fails and gives its connection up`, async () => {
      await using origin = await createOrigin(serve)
      await using client = testClient({ connections: 1 })
      const response = await client.fetch(`${origin.url}/garbage/${encodeURIComponent(coding)}`, init)
      await expect(readAll(response)).rejects.toMatchObject({ name: 'TypeError', message: 'terminated' })
      await works(client, origin.url)
      await client.close()
      expect(response.status).toBe(200)
    })
  }
}

for (const [lane, init] of lanes) {
  for (const coding of ['deflate', 'br', 'zstd', 'gzip, br', 'gzip', 'br, gzip']) {
    for (const more of ['little', 'much']) {
      test(`${lane}: ${coding} with ${more} after its end is read to that end, and gives its connection up`, async () => {
        await using origin = await createOrigin(serve)
        await using client = testClient({ connections: 1 })
        const path = `trailing/${encodeURIComponent(coding)}/${more}`
        const response = await client.fetch(`${origin.url}/${path}`, init)
        const read = await readAll(response).then(String, (error: Error) => error.message)
        // Behind the end of gzip more of it may come: whether what comes is an error depends on how it is cut.
        expect([text, coding.endsWith('gzip') ? 'terminated' : text]).toContain(read)
        await works(client, origin.url)
        await client.close()
      })
    }
  }
}

for (const [lane, init] of lanes) {
  for (const what of ['gzip/compressed', 'gzip/blocks', 'zstd/compressed', 'br/compressed']) {
    test(`${lane}: ${what} without an end is refused by maxResponseSize as it comes`, async () => {
      await using origin = await createOrigin(serve)
      await using client = testClient({ connections: 1, maxResponseSize: 1_000 })
      const response = await client.fetch(`${origin.url}/endless/${what}`, init)
      await expect(response.text()).rejects.toThrow(ResponseTooLargeError)
      // What buffers of sockets take on the way, and no more.
      expect(origin.bytesSent).toBeLessThan(24 * MiB)
      await works(client, origin.url)
      await client.close()
    })
  }

  for (const coding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, br']) {
    test(`${lane}: ${coding} that is longer than what it encodes is measured by what it encodes`, async () => {
      await using origin = await createOrigin(serve)
      await using client = testClient({ connections: 1, maxResponseSize: 700 })
      for (const isLate of [false, true]) {
        const response = await client.fetch(`${origin.url}/small/${encodeURIComponent(coding)}`, init)
        if (isLate) await until(() => client.stats().requests.inFlight === 0, 'arrived')
        expect(Buffer.compare(await response.clone().bytes(), noise)).toBe(0)
        expect(Buffer.compare(await response.bytes(), noise)).toBe(0)
      }
      for (const read of ['text', 'json'] as const) {
        const response = await client.fetch(`${origin.url}/padded/${encodeURIComponent(coding)}`, init)
        await expect(response[read]()).rejects.toThrow()
      }
      await works(client, origin.url)
    })
  }
}

test('resource timing has the encoded size of a body twice: nobody may ever decode it', async () => {
  await using origin = await createOrigin(serve)
  await using client = testClient()
  const size = encode('gzip', noise).length
  for (const [path, expected] of [
    ['/small/gzip', size],
    ['/ok', 2],
  ] as const) {
    await (await client.fetch(origin.url + path)).bytes()
    const [entry] = performance.getEntriesByName(origin.url + path)
    expect(entry).toMatchObject({ encodedBodySize: expected, decodedBodySize: expected })
  }
})

test('a body that has arrived and does not decode lets go of the signal of its call', async () => {
  await using origin = await createOrigin(serve)
  await using client = testClient({ connections: 1 })
  const { signal } = new AbortController()
  const response = await client.fetch(`${origin.url}/bad/gzip`, { signal })
  await until(() => client.stats().requests.inFlight === 0, 'arrived')
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  await expect(readAll(response)).rejects.toThrow('terminated')
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})
