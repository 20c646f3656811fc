/** The recorder of `recorder.ts` on HTTP/2 over TLS. */
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tls } from './h2.ts'
import { type Fields, type Recorded, type Recorder, type Reply, type Script, sends } from './recorder.ts'

export async function createHttp2Recorder(script: Script = sends(200, [], 'ok')): Promise<Recorder> {
  const server = http2.createSecureServer(tls)
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session)).on('error', () => {})
  })
  server.on(
    'stream',
    (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, _flags: number, raw: string[]) => {
      const request: Recorded = {
        method: String(headers[':method']),
        target: String(headers[':path']),
        headers: pairs(raw).filter(([name]) => name !== ':method' && name !== ':path'),
        body: Buffer.alloc(0),
        isWhole: false,
        connection: 0,
      }
      recorder.seen.push(request)
      stream.on('error', () => {})
      stream.on('data', (bytes: Buffer) => (request.body = Buffer.concat([request.body, bytes])))
      const gone = new Promise<void>((resolve) => stream.on('close', resolve))
      const arrived = new Promise<void>((resolve) =>
        stream.on('end', () => {
          request.isWhole = true
          resolve()
        }),
      )
      void recorder.script(request, replyOn(stream, Promise.race([arrived, gone]), gone))
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const recorder: Recorder = {
    url: `https://localhost:${port}`,
    port,
    seen: [],
    script,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  return recorder
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [String(raw[2 * i]), String(raw[2 * i + 1])])
}

function replyOn(stream: http2.ServerHttp2Stream, whole: Promise<void>, gone: Promise<void>): Reply {
  const refuse = (): never => {
    throw new Error('HTTP/1.1 only')
  }
  const head = (status: number, headers: Fields = []): void => {
    const fields: Record<string, string[]> = {}
    for (const [name, value] of headers) (fields[name.toLowerCase()] ??= []).push(value)
    if (!stream.destroyed) stream.respond({ ':status': status, ...fields })
  }
  const write = (bytes: string | Buffer): void => void (stream.writable && stream.write(bytes))
  const end = (): void => void (stream.writable && stream.end())
  return {
    head,
    write,
    end,
    send(status, headers = [], body = '') {
      const buffer = Buffer.from(body)
      head(status, [...headers, ['content-length', String(buffer.length)]])
      if (buffer.length > 0) write(buffer)
      end()
    },
    // Not close(): that ends the body first.
    reset: () => void stream.destroy(new Error('reset')),
    raw: refuse,
    hangUp: refuse,
    whole,
    gone,
  }
}
