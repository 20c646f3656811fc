/** An HTTP/2 origin over TLS on loopback that counts sessions, streams and resets. */
import fs from 'node:fs'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import path from 'node:path'

const pem = (name: string): Buffer => fs.readFileSync(path.join(import.meta.dirname, name))

/** A key that protects nothing: it is for loopback. */
export const tls = { key: pem('localhost.key'), cert: pem('localhost.crt') }

export interface Http2Origin extends AsyncDisposable {
  readonly url: string
  sessions: number
  streams: number
  openStreams: number
  /** Codes of the RST_STREAM frames received. */
  readonly resets: number[]
}

export async function createHttp2Origin(
  answer: (stream: http2.ServerHttp2Stream, path: string) => void,
  settings: http2.Settings = {},
): Promise<Http2Origin> {
  const server = http2.createSecureServer({ ...tls, settings })
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', (session) => {
    origin.sessions++
    sessions.add(session)
    session.on('close', () => sessions.delete(session)).on('error', () => {})
  })
  server.on('stream', (stream, headers) => {
    origin.streams++
    origin.openStreams++
    stream.on('error', () => {})
    stream.on('aborted', () => origin.resets.push(stream.rstCode ?? -1))
    stream.on('close', () => origin.openStreams--)
    answer(stream, String(headers[':path']))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin: Http2Origin = {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    sessions: 0,
    streams: 0,
    openStreams: 0,
    resets: [],
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  return origin
}
