/** A loopback server that keeps every request exactly as it came, on HTTP/1.1; `recorder-h2.ts` has the same for HTTP/2. */
import net, { type AddressInfo } from 'node:net'
import { BodyReader } from './request-body.ts'

export interface Recorded {
  readonly method: string
  readonly target: string
  /** Names in the case they were sent in, in their order, one entry for each line. */
  readonly headers: readonly (readonly [string, string])[]
  body: Buffer
  /** The body has arrived to its end. */
  isWhole: boolean
  /** Index of the connection it came on, from 0. */
  readonly connection: number
}

export type Fields = readonly (readonly [string, string])[]

/** The answer to one request. `head` without a content-length, `write` and `end` make a body of unknown length. */
export interface Reply {
  head(status: number, headers?: Fields, statusText?: string): void
  write(bytes: string | Buffer): void
  end(): void
  /** A whole answer with its length. */
  send(status: number, headers?: Fields, body?: string | Buffer, statusText?: string): void
  reset(): void
  /** Exact bytes, on HTTP/1.1 only. */
  raw(bytes: string | Buffer): void
  /** FIN, on HTTP/1.1 only. */
  hangUp(): void
  /** The body of the request is here, or its connection is gone. */
  readonly whole: Promise<void>
  /** The client has ended the connection (HTTP/1.1) or the stream (HTTP/2). */
  readonly gone: Promise<void>
}

export type Script = (request: Recorded, reply: Reply) => void | Promise<void>

export interface Recorder extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly seen: Recorded[]
  script: Script
}

/** Answers once the request is whole. */
export const sends =
  (status: number, headers: Fields = [], body: string | Buffer = '', statusText?: string): Script =>
  async (_, reply) => {
    await reply.whole
    reply.send(status, headers, body, statusText)
  }

export async function createRecorder(script: Script = sends(200, [], 'ok')): Promise<Recorder> {
  const sockets = new Set<net.Socket>()
  let connections = 0
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    serve(socket, connections++, recorder)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const recorder: Recorder = {
    url: `http://127.0.0.1:${port}`,
    port,
    seen: [],
    script,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return recorder
}

function serve(socket: net.Socket, connection: number, recorder: Recorder): void {
  const gone = new Promise<void>((resolve) => socket.on('close', resolve).on('end', resolve))
  let buffered: Buffer = Buffer.alloc(0)
  let current: { request: Recorded; reader: BodyReader; arrived: () => void } | undefined
  let isAnswered = true

  function advance(): void {
    if (current === undefined) {
      const end = buffered.indexOf('\r\n\r\n')
      if (end === -1 || !isAnswered) return
      begin(buffered.toString('latin1', 0, end))
      buffered = buffered.subarray(end + 4)
    }
    if (current === undefined) return
    buffered = current.reader.take(buffered)
    current.request.body = current.reader.body
    if (!current.reader.isWhole) return
    current.request.isWhole = true
    const { arrived } = current
    current = undefined
    arrived()
  }

  function begin(head: string): void {
    const [line = '', ...lines] = head.split('\r\n')
    const [method = '', target = ''] = line.split(' ')
    const headers = lines.map((each): [string, string] => {
      const colon = each.indexOf(':')
      return [each.slice(0, colon), each.slice(colon + 1).trim()]
    })
    const request = { method, target, headers, body: Buffer.alloc(0), isWhole: false, connection }
    const { promise: arrived, resolve } = Promise.withResolvers<void>()
    current = { request, reader: new BodyReader(headers), arrived: resolve }
    recorder.seen.push(request)
    isAnswered = false
    const whole = Promise.race([arrived, gone])
    const answer = async (): Promise<void> => {
      await recorder.script(request, replyOn(socket, whole, gone, method))
      await whole
      isAnswered = true
      advance()
    }
    void answer()
  }

  socket.on('data', (bytes) => {
    buffered = Buffer.concat([buffered, bytes])
    advance()
  })
}

function replyOn(socket: net.Socket, whole: Promise<void>, gone: Promise<void>, method: string): Reply {
  let isChunked = false
  const raw = (bytes: string | Buffer): void => {
    if (socket.writable) socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }
  const head: Reply['head'] = (status, headers = [], statusText = 'Text') => {
    isChunked = !headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name))
    const framing: Fields = isChunked ? [['transfer-encoding', 'chunked']] : []
    const lines = [...headers, ...framing].map(([name, value]) => `${name}: ${value}\r\n`)
    raw(`HTTP/1.1 ${status} ${statusText}\r\n${lines.join('')}\r\n`)
  }
  const write = (bytes: string | Buffer): void => {
    const buffer = Buffer.from(bytes)
    if (isChunked) raw(`${buffer.length.toString(16)}\r\n`)
    raw(buffer)
    if (isChunked) raw('\r\n')
  }
  return {
    head,
    write,
    end: () => {
      if (isChunked) raw('0\r\n\r\n')
    },
    send(status, headers = [], body = '', statusText) {
      const buffer = Buffer.from(body)
      const hasNone = status === 204 || status === 304
      head(status, [...headers, ['content-length', String(hasNone ? 0 : buffer.length)]], statusText)
      if (!hasNone && method !== 'HEAD') raw(buffer)
    },
    reset: () => void socket.resetAndDestroy(),
    raw,
    hangUp: () => void socket.end(),
    whole,
    gone,
  }
}
