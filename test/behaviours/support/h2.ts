/** An HTTP/2 origin on loopback that shows every frame of both directions: what was reset, and how often. */
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { ClientOptions } from '../../../src/index.ts'

export const frameTypes = { data: 0, headers: 1, resetStream: 3, goAway: 7, windowUpdate: 8 } as const

export interface Frame {
  readonly from: 'client' | 'server'
  /** Index of the connection, from 0. */
  readonly connection: number
  readonly type: number
  readonly stream: number
  readonly flags: number
  /** Bytes of payload, padding included: what counts against the windows. */
  readonly length: number
  /** The first number of the payload: the code of a reset, the increment of a window update. */
  readonly number: number
}

export interface H2Origin extends AsyncDisposable {
  readonly url: string
  /** Connections accepted so far. */
  accepted: number
  /** Connections that have not closed. */
  open: number
  /** Streams that have not closed. */
  openStreams: number
  readonly frames: Frame[]
}

type Script = (stream: http2.ServerHttp2Stream, path: string) => void

// A key known to both sides instead of a certificate, which would expire.
const psk = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
const shared = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-PSK-CHACHA20-POLY1305' } as const

/** Options of a client that can talk to this origin. */
export const trust = {
  tls: { ...shared, pskCallback: () => ({ psk, identity: 'test' }), checkServerIdentity: () => undefined },
} satisfies ClientOptions

export async function createH2Origin(script: Script, options: http2.ServerOptions = {}): Promise<H2Origin> {
  const server = tls.createServer({ ...shared, pskCallback: () => psk, ALPNProtocols: ['h2'] })
  const sockets = new Set<tls.TLSSocket>()
  server.on('secureConnection', (socket) => {
    const connection = origin.accepted++
    origin.open++
    sockets.add(socket)
    const { inward, outward } = taps(connection, origin.frames)
    socket.on('close', () => {
      origin.open--
      sockets.delete(socket)
    })
    const session = http2.performServerHandshake(between(socket, inward, outward), options)
    session.on('error', () => {})
    session.on('stream', (stream, headers) => {
      origin.openStreams++
      stream.on('error', () => {}).on('close', () => origin.openStreams--)
      script(stream, String(headers[':path']))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin: H2Origin = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accepted: 0,
    open: 0,
    openStreams: 0,
    frames: [],
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return origin
}

type Tap = (bytes: Buffer) => void

function taps(connection: number, frames: Frame[]): { inward: Tap; outward: Tap } {
  const note = (from: Frame['from']) => (frame: Omit<Frame, 'from' | 'connection'>) =>
    frames.push({ from, connection, ...frame })
  // The client begins with 24 bytes that are no frame (RFC 9113, 3.4).
  return { inward: splitFrames(24, note('client')), outward: splitFrames(0, note('server')) }
}

function splitFrames(skip: number, note: (frame: Omit<Frame, 'from' | 'connection'>) => void): Tap {
  let buffered: Buffer = Buffer.alloc(0)
  let toSkip = skip
  return (bytes) => {
    buffered = Buffer.concat([buffered, bytes])
    if (toSkip > 0) {
      if (buffered.length < toSkip) return
      buffered = buffered.subarray(toSkip)
      toSkip = 0
    }
    while (buffered.length >= 9) {
      const length = buffered.readUIntBE(0, 3)
      if (buffered.length < 9 + length) return
      note({
        length,
        type: buffered.readUInt8(3),
        flags: buffered.readUInt8(4),
        stream: buffered.readUInt32BE(5) & 0x7fffffff,
        number: length >= 4 ? buffered.readUInt32BE(9) : 0,
      })
      buffered = buffered.subarray(9 + length)
    }
  }
}

/** The socket, with both directions shown to a tap. */
function between(socket: tls.TLSSocket, inward: Tap, outward: Tap): Duplex {
  const duplex = new Duplex({
    read: () => void socket.resume(),
    write(bytes: Buffer, _, done) {
      outward(bytes)
      if (socket.writable) socket.write(bytes, () => done())
      else done()
    },
    final: (done) => void socket.end(done),
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (bytes) => {
    inward(bytes)
    if (!duplex.push(bytes)) socket.pause()
  })
  socket.on('end', () => duplex.push(null))
  socket.on('error', () => {})
  socket.on('close', () => duplex.destroy())
  duplex.on('error', () => {})
  return duplex
}
