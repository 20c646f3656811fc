/** A raw HTTP/1.1 origin on loopback: exact, late and malformed bytes, and a count of everything that reached it. */
import net from 'node:net'
import type { AddressInfo } from 'node:net'

export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: string
  /** Index of the connection it came on, from 0. */
  readonly connection: number
}

export interface Reply {
  /** Writes bytes; resolves when the socket takes more, or is gone. */
  write(bytes: string | Buffer): Promise<void>
  /** The client is still there. */
  readonly isOpen: boolean
  /** Sends FIN. */
  end(): void
  reset(): void
}

export type Script = (seen: Seen, reply: Reply) => void | Promise<void>

export interface Origin extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** Connections accepted so far. */
  accepted: number
  open: number
  /** Connections the client ended with RST. */
  resets: number
  bytesSent: number
  readonly seen: Seen[]
  /** From now on a new connection is refused: whoever succeeds has reused one. */
  stopListening(): Promise<void>
  close(): Promise<void>
}

/** @param at the port; any that is free if not given */
export async function createOrigin(script: Script, at = 0): Promise<Origin> {
  const sockets = new Set<net.Socket>()
  // Small writes go out at once: a part of its own is a packet of its own.
  const server = net.createServer({ noDelay: true }, (socket) => {
    const connection = origin.accepted++
    origin.open++
    sockets.add(socket)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') origin.resets++
    })
    socket.on('close', () => {
      origin.open--
      sockets.delete(socket)
    })
    serve(socket, connection, script, origin)
  })
  await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const stopListening = (): Promise<void> =>
    new Promise((resolve) => (server.listening ? server.close(() => {}) : undefined, resolve()))
  const origin: Origin = {
    url: `http://127.0.0.1:${port}`,
    port,
    accepted: 0,
    open: 0,
    resets: 0,
    bytesSent: 0,
    seen: [],
    stopListening,
    async close() {
      for (const socket of sockets) socket.destroy()
      await stopListening()
    },
    [Symbol.asyncDispose]: () => origin.close(),
  }
  return origin
}

/** Reads requests one after another; bodies are counted by content-length or skipped to the last chunk. */
function serve(socket: net.Socket, connection: number, script: Script, origin: Origin): void {
  let buffered = ''
  let isBusy = false
  socket.setEncoding('latin1')
  const answer = async (seen: Seen): Promise<void> => script(seen, replyOn(socket, origin))
  const next = (): void => {
    const end = buffered.indexOf('\r\n\r\n')
    if (isBusy || end === -1) return
    const head = buffered.slice(0, end)
    const length = bodyLength(head, buffered.slice(end + 4))
    if (length === undefined) return
    buffered = buffered.slice(end + 4 + length)
    const [requestLine = '', ...headers] = head.split('\r\n')
    const [method = '', path = ''] = requestLine.split(' ')
    const seen: Seen = { method, path, headers: headers.join('\n').toLowerCase(), connection }
    origin.seen.push(seen)
    isBusy = true
    const done = (): void => {
      isBusy = false
      next()
    }
    void answer(seen).finally(done)
  }
  socket.on('data', (text: string) => {
    buffered += text
    next()
  })
}

function bodyLength(head: string, rest: string): number | undefined {
  if (/\r\ntransfer-encoding:\s*chunked/i.test(head)) {
    const end = rest.indexOf('0\r\n\r\n')
    return end === -1 ? undefined : end + 5
  }
  const length = Number(/\r\ncontent-length:\s*(\d+)/i.exec(head)?.[1] ?? 0)
  return rest.length >= length ? length : undefined
}

function replyOn(socket: net.Socket, origin: Origin): Reply {
  return {
    get isOpen() {
      return !socket.destroyed && socket.writable
    },
    write(bytes) {
      if (socket.destroyed || !socket.writable) return Promise.resolve()
      origin.bytesSent += bytes.length
      if (socket.write(bytes)) return Promise.resolve()
      return new Promise((resolve) => {
        const go = (): void => {
          socket.off('drain', go).off('close', go)
          resolve()
        }
        socket.on('drain', go).on('close', go)
      })
    },
    end: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
  }
}
