/**
 * The only three looks behind undici's and Node's public interfaces. Each has a fallback that is safe, only less thrifty:
 * a connection that could not be reused is drained for nothing, or is finished instead of reset; a stream is left open at the server.
 */
import { type ClientHttp2Session, constants } from 'node:http2'
import type { Socket } from 'node:net'

interface Parser {
  readonly shouldKeepAlive?: unknown
}
interface Handle {
  reset?: (done: () => void) => number
  close?: (done: () => void) => number
  readonly _parent?: Handle | null
}

const keys = new Map<string, symbol>()

function property(socket: Socket, name: string): unknown {
  let key = keys.get(name)
  if (key === undefined) {
    key = Object.getOwnPropertySymbols(socket).find((symbol) => symbol.description === name)
    if (key === undefined) return undefined
    keys.set(name, key)
  }
  return (socket as unknown as Record<symbol, unknown>)[key]
}

/**
 * False when undici will close this HTTP/1 connection after the current response, whatever becomes of the body:
 * HTTP/1.0, `Connection: close`, no framing, a keep-alive hint that is over. Undefined when it cannot be known.
 */
export function willBeReused(socket: Socket): boolean | undefined {
  if (socket.destroyed || property(socket, 'reset') === true) return false
  const keep = (property(socket, 'parser') as Parser | null | undefined)?.shouldKeepAlive
  return typeof keep === 'boolean' ? keep : undefined
}

/**
 * Makes the close of this TCP connection, plain or under TLS, a reset, so that neither side keeps it in TIME_WAIT. Whoever destroys
 * the socket does so with an error of its own: undici takes a close without one for the end of a body.
 */
export function closeByReset(socket: Socket): void {
  const handle = (socket as unknown as { _handle?: Handle | null })._handle
  const tcp = handle?._parent ?? handle
  if (typeof tcp?.reset === 'function') tcp.close = tcp.reset
}

/** The socket carries HTTP/2, many streams at once. */
export function isHttp2(socket: Socket | undefined): boolean {
  return (socket as { alpnProtocol?: unknown } | undefined)?.alpnProtocol === 'h2'
}

/**
 * undici ends an HTTP/2 stream without a code. Node up to 24 then keeps the reset to itself while the server has more to send than its window,
 * and the stream stays open there as long as the connection: some hundred of them, and the server takes no more. Call before the first
 * stream of a connection; from then on its streams are ended with CANCEL, which is sent at once.
 */
export function endStreamsByCancel(socket: Socket): void {
  const session = property(socket, 'http2Session') as ClientHttp2Session | null | undefined
  if (typeof session?.request !== 'function') return
  const request = session.request.bind(session)
  session.request = (headers, options) => {
    const stream = request(headers, options)
    const close = stream.close.bind(stream)
    stream.close = (code = constants.NGHTTP2_CANCEL, done) => close(code, done)
    return stream
  }
}
