/**
 * The only two looks behind undici's and Node's public interfaces. Each has a fallback that is safe, only less thrifty:
 * a connection that could not be reused is drained for nothing, or is finished instead of reset.
 */
import type { Socket } from 'node:net'

interface Parser {
  readonly shouldKeepAlive?: unknown
}
interface Handle {
  reset?: (done: () => void) => number
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

/** Ends a TCP connection with RST, so that neither side keeps it in TIME_WAIT. */
export function reset(socket: Socket): void {
  if (socket.destroyed) return
  const handle = (socket as unknown as { _handle?: Handle | null })._handle
  if (handle?._parent == null) {
    socket.resetAndDestroy()
    return
  }
  // TLS: the public method refuses, since the handle of the socket is not TCP; the one below it is.
  try {
    handle._parent.reset?.(() => {})
  } finally {
    socket.destroy()
  }
}
