/**
 * The one look behind node:http: parts a message from its socket without either of them noticing.
 *
 * Node frees a socket when somebody has read its message to the end, and destroys it when the message is destroyed. After
 * {@link part} Node's own functions run on two halves. The wire's half, the socket with a {@link Successor} in place of its request, can be
 * freed, drained or closed. The user's half, request and message on a stand-in for the socket, goes through the very events it would
 * have gone through. Where Node looks different from what is known, nothing is parted, and all is as node:http does it.
 */
import { type ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

type Listener = (this: unknown, ...values: unknown[]) => void

/** What Node keeps on its objects beside what it documents. */
interface Internals {
  _httpMessage?: unknown
  parser?: { incoming?: unknown; outgoing?: unknown } | null
  timeoutCb?: unknown
  client?: unknown
}

/** Node's own listeners, found by their names; without them nothing is parted. */
export interface Seam {
  /** On a message that has been read: frees the socket of its request. */
  readonly onEnd: Listener
  readonly onClose: Listener
  readonly onError: Listener
}

/** The half of the wire. */
export interface Wire {
  readonly socket: Socket
  /** What is still to come of the message; only whoever parted it refers to it. */
  readonly rest: IncomingMessage
  /** Gives the socket back to its agent, or ends it if it cannot be used again. The message must have arrived. */
  free(): void
  /** From now on an error of the message is the message's alone: Node would tell its request, too. */
  hush(): void
}

/** The seam of this response, or undefined where Node is not as expected. */
export function findSeam(request: ClientRequest, response: IncomingMessage): Seam | undefined {
  const { socket } = request
  if (socket === null || (socket as Internals)._httpMessage !== request) return undefined
  known ??= look(socket, response)
  if (known === undefined || !has(response, 'end', known.onEnd)) return undefined
  return has(socket, 'close', known.onClose) && has(socket, 'error', known.onError) ? known : undefined
}
/** Node's listeners are the same functions for all requests. */
let known: Seam | undefined

function look(socket: Socket, response: IncomingMessage): Seam | undefined {
  const onEnd = named(response, 'end', 'responseOnEnd')
  const onClose = named(socket, 'close', 'socketCloseListener')
  const onError = named(socket, 'error', 'socketErrorListener')
  if (onEnd === undefined || onClose === undefined || onError === undefined) return undefined
  return { onEnd, onClose, onError }
}

function has(emitter: NodeJS.EventEmitter, event: string, listener: Listener): boolean {
  return emitter.listenerCount(event, listener) === 1
}

function named(emitter: NodeJS.EventEmitter, event: string, name: string): Listener | undefined {
  return emitter.listeners(event).find((listener) => listener.name === name) as Listener | undefined
}

/** Of these a socket may have listeners that belong to one request. */
const events = ['data', 'end', 'close', 'error', 'timeout', 'drain'] as const
/** Node sets these again for each request, and takes them away itself. */
const timeouts = new Set(['responseOnTimeout', 'emitRequestTimeout'])

/** The listeners of a connection that stay with it: Node's, its agent's and ours. */
const own = new WeakMap<Socket, Set<unknown>>()

/** Call when a request gets this socket, before anybody else hears of it. */
export function noteListeners(socket: Socket): void {
  if (own.has(socket)) return
  own.set(socket, new Set<unknown>(events.flatMap((event) => socket.listeners(event))))
}

/** One more that stays. */
export function noteListener(socket: Socket, listener: unknown): void {
  own.get(socket)?.add(listener)
}

/**
 * What the user has hung on the socket goes along with the user's half: it would take the bytes of others for its own, and keep alive
 * what nobody refers to any more.
 */
function moveListeners(socket: Socket, stand: StandIn): void {
  const stays = own.get(socket)
  if (stays === undefined) return
  for (const event of events) {
    for (const raw of socket.rawListeners(event) as (Listener & { listener?: Listener })[]) {
      const listener = raw.listener ?? raw
      if (stays.has(listener) || timeouts.has(listener.name)) continue
      socket.off(event, listener)
      stand[raw === listener ? 'on' : 'once'](event, listener)
    }
  }
}

/** Parts a message from its socket. The request must have been sent: what it writes from now on goes nowhere. */
export function part(request: ClientRequest, response: IncomingMessage, seam: Seam): Wire {
  const socket = request.socket as Socket
  const rest = new IncomingMessage(socket)
  const successor = new Successor(request, rest)
  const stand = standInFor(socket)
  // From here on nothing throws.
  stand._httpMessage = request
  stand.on('close', seam.onClose).on('error', seam.onError)
  moveListeners(socket, stand)

  const { parser } = socket as Internals
  if (parser != null && parser.incoming === response) {
    parser.incoming = rest
    parser.outgoing = successor
  }
  ;(socket as Internals)._httpMessage = successor
  Object.assign(request, { socket: stand, parser: null })
  Object.assign(response, { socket: stand, client: stand })
  detachSignal(response)
  return {
    socket,
    rest,
    free() {
      rest.complete = true
      // It closes, so both halves hear of it.
      if (!request.shouldKeepAlive) socket.once('close', () => stand.destroy())
      seam.onEnd.call(rest)
    },
    hush() {
      stand.off('error', seam.onError).on('error', () => {})
    },
  }
}

/** `response.signal` listens to the socket, which from now on has nothing to do with it. Node 22 has no such signal. */
function detachSignal(response: IncomingMessage): void {
  detach ??=
    Object.getOwnPropertySymbols(IncomingMessage.prototype).find(
      ({ description }) => description === 'kDetachAbortSignal',
    ) ?? null
  if (detach !== null) (response as unknown as Record<symbol, () => void>)[detach]?.()
}
let detach: symbol | null | undefined

/** What Node's functions need of a request that has been sent. */
class Successor {
  readonly res: IncomingMessage
  readonly socket: Socket
  readonly method: string
  readonly path: string
  readonly host: string
  readonly protocol: string
  readonly timeoutCb: unknown
  readonly shouldKeepAlive: boolean
  readonly finished = true
  readonly writableFinished = true
  readonly outputData: readonly unknown[] = []
  parser: unknown = null
  destroyed = false
  _closed = false
  _ended = false

  constructor(request: ClientRequest, rest: IncomingMessage) {
    this.res = rest
    this.socket = request.socket as Socket
    this.method = request.method
    this.path = request.path
    this.host = request.host
    this.protocol = request.protocol
    this.timeoutCb = (request as Internals).timeoutCb
    this.shouldKeepAlive = request.shouldKeepAlive
    const { res } = request as unknown as { res: IncomingMessage }
    // The agent looks for the server's keep-alive hint there.
    rest.headers = res.headers
    ;(rest as unknown as { req: Successor }).req = this
  }

  /** Whatever becomes of the socket is seen on the rest of the message. */
  emit(): boolean {
    return false
  }
}

type StandIn = Duplex & Internals

/** Looks like the socket, and ends like it; has no listeners of its own, and leaves the socket alone. */
function standInFor(socket: Socket): StandIn {
  const stand = Object.create(socket, quiet) as StandIn
  ;(Duplex as unknown as (this: StandIn, options: object) => void).call(stand, {
    readable: false,
    emitClose: false,
  })
  return stand
}

const hidden = (value: unknown): PropertyDescriptor => ({ value, writable: true, configurable: true })
const same = hidden(function (this: unknown): unknown {
  return this
})
const end = hidden(function (this: Duplex): Duplex {
  return this.destroy()
})

const quiet: PropertyDescriptorMap = {
  _events: hidden(undefined),
  _eventsCount: hidden(0),
  _maxListeners: hidden(undefined),
  _httpMessage: hidden(null),
  parser: hidden(null),
  _read: hidden(() => {}),
  _write: hidden((_chunk: unknown, _encoding: unknown, done: () => void) => done()),
  _writev: hidden(null),
  _final: hidden((done: () => void) => done()),
  // A socket's own error comes at once, its close only when its handle is closed.
  _destroy: hidden(function (this: Duplex, error: Error | null, done: (error: Error | null) => void) {
    setImmediate(() => this.emit('close', error !== null))
    done(error)
  }),
  destroySoon: end,
  resetAndDestroy: end,
  pause: same,
  resume: same,
  ref: same,
  unref: same,
  setKeepAlive: same,
  setNoDelay: same,
  setTimeout: same,
}
