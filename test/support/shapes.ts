/** Every shape a body can take on the wire, by name, with what its reader must get. */
import zlib from 'node:zlib'
import type { Reply, Script } from './origin.ts'

/** Bytes that show where they come from: any loss, doubling or reordering changes them. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff
  return bytes
}

const KiB = 1024
const MiB = 1024 * KiB
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const ok = 'HTTP/1.1 200 OK\r\n'

export interface Shape {
  readonly send: (reply: Reply) => void | Promise<void>
  /** The body its reader gets, or `error` where reading must fail, or `endless`. */
  readonly gets: Buffer | 'error' | 'endless'
  /** The connection can carry another request once this body has ended. */
  readonly reusable: boolean
  readonly status?: number
  readonly method?: string
  /** Endless, and fast enough to fill every buffer. */
  readonly isFast?: boolean
  /** Its end comes after a pause: whether a limit is over by then is for the machine to say. */
  readonly isLate?: boolean
  /** Too large to be combined with everything. */
  readonly isLarge?: boolean
}

function fixed(length: number, head = ok): Shape {
  const gets = pattern(length)
  return {
    gets,
    reusable: true,
    isLarge: length > 8 * MiB,
    async send(reply) {
      await reply.write(`${head}content-length: ${length}\r\n\r\n`)
      for (let at = 0; at < length && reply.isOpen; at += 64 * KiB) {
        await reply.write(gets.subarray(at, at + 64 * KiB))
      }
    },
  }
}

const chunk = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])

function chunked(length: number, size: number, tail = '0\r\n\r\n', head = ''): Shape {
  const gets = pattern(length)
  return {
    gets,
    reusable: true,
    async send(reply) {
      await reply.write(`${ok}transfer-encoding: chunked\r\n${head}\r\n`)
      const parts: Buffer[] = []
      for (let at = 0; at < length; at += size) parts.push(chunk(gets.subarray(at, at + size)))
      await reply.write(Buffer.concat(parts))
      await reply.write(tail)
    },
  }
}

function whole(text: string, gets: Shape['gets'], more: Partial<Shape> = {}): Shape {
  return { gets, reusable: true, ...more, send: (reply) => reply.write(text) }
}

/** Sends the parts and then nothing: the connection stays open. */
const stalled = (text: string): Shape => whole(text, 'endless')

/** Sends the text and closes. */
const closing = (text: string, gets: Shape['gets']): Shape => ({
  gets,
  reusable: false,
  async send(reply) {
    await reply.write(text)
    reply.end()
  },
})

const te = `${ok}transfer-encoding: chunked\r\n\r\n`
const none = Buffer.alloc(0)

export const shapes: Record<string, Shape> = {
  'empty chunked': whole(`${te}0\r\n\r\n`, none),
  'empty chunked, last chunk later': {
    gets: none,
    reusable: true,
    isLate: true,
    async send(reply) {
      await reply.write('HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n')
      await pause(5)
      await reply.write('0\r\n\r\n')
    },
  },
  'content-length 0': fixed(0),
  '204': whole('HTTP/1.1 204 No Content\r\n\r\n', none),
  '304': whole('HTTP/1.1 304 Not Modified\r\netag: "a"\r\n\r\n', none),
  'answer to HEAD': { ...whole(`${ok}content-length: 1000\r\n\r\n`, none), method: 'HEAD' },
  'one byte': fixed(1),
  'at readAhead': fixed(64 * KiB),
  'readAhead and one': fixed(64 * KiB + 1),
  'at maxBytes': fixed(128 * KiB),
  'maxBytes and one': fixed(128 * KiB + 1),
  '1 MiB': fixed(MiB),
  '64 MiB': fixed(64 * MiB),
  '404 with 256 KiB': { ...fixed(256 * KiB, 'HTTP/1.1 404 Not Found\r\n'), status: 404 },
  chunked: chunked(100 * KiB, 10_000),
  'byte per chunk': chunked(5_000, 1),
  trailers: chunked(1_000, 100, '0\r\nx-sum: 1\r\n\r\n', 'trailer: x-sum\r\n'),
  gzip: {
    gets: pattern(50_000),
    reusable: true,
    async send(reply) {
      const coded = zlib.gzipSync(pattern(50_000))
      await reply.write(`${ok}content-encoding: gzip\r\ncontent-length: ${coded.length}\r\n\r\n`)
      await reply.write(coded)
    },
  },
  'close-delimited': closing(`${ok}\r\nuntil the end`, Buffer.from('until the end')),
  'HTTP/1.0': closing('HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi', Buffer.from('hi')),
  'Connection: close': closing(`${ok}connection: close\r\ncontent-length: 2\r\n\r\nhi`, Buffer.from('hi')),
  'late end': {
    gets: Buffer.from('abcdef'),
    reusable: true,
    isLate: true,
    async send(reply) {
      await reply.write(`${ok}content-length: 6\r\n\r\nabc`)
      await pause(20)
      await reply.write('def')
    },
  },
  'endless and fast': {
    gets: 'endless',
    reusable: true,
    isFast: true,
    async send(reply) {
      await reply.write(te)
      const bytes = chunk(pattern(32 * KiB))
      while (reply.isOpen) await reply.write(bytes)
    },
  },
  'endless trickle': {
    gets: 'endless',
    reusable: true,
    async send(reply) {
      await reply.write(te)
      while (reply.isOpen) {
        await reply.write('1\r\nx\r\n')
        await pause(10)
      }
    },
  },
  'event stream': whole(
    `${ok}content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\n:hi\n\n\r\n`,
    'endless',
  ),
  'stalled after the head': stalled(`${ok}content-length: 10\r\n\r\n`),
  'stalled in the body': stalled(`${ok}content-length: 10\r\n\r\nabc`),
  'stalled in a chunk': stalled(`${te}a\r\nabc`),
  'stalled in a chunk size': stalled(`${te}3\r\nabc\r\n1`),
  'stalled before the last line': stalled(`${te}3\r\nabc\r\n0\r\n`),
  'stalled in the trailers': stalled(`${te}3\r\nabc\r\n0\r\nx-su`),
  truncated: closing(`${ok}content-length: 10\r\n\r\nabc`, 'error'),
  'truncated in a chunk': closing(`${te}a\r\nabc`, 'error'),
  'malformed chunk': whole(`${te}3\r\nabc\r\nzz\r\n`, 'error'),
  'longer than declared': whole(`${ok}content-length: 3\r\n\r\nabcdef`, Buffer.from('abc'), {
    reusable: false,
  }),
}

/** Serves every shape by its name, a small answer at `/ok`, and a redirect with a body of 256 KiB to it at `/moved`. */
export const serveShapes: Script = async (seen, reply) => {
  const name = decodeURIComponent((seen.path.split('?')[0] as string).slice(1))
  if (name === 'moved') {
    await reply.write(`HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: ${256 * KiB}\r\n\r\n`)
    await reply.write(pattern(256 * KiB))
    return
  }
  const shape = shapes[name]
  if (shape === undefined) await reply.write(`${ok}content-length: 2\r\n\r\nok`)
  else await shape.send(reply)
}
