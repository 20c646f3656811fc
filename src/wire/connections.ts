/** The connections of one origin: which of them carry requests, which are being reset, and how long their server keeps them. */
import type { Socket } from 'node:net'
import { errors } from 'undici'
import { publish } from '../events.ts'
import { endStreamsByCancel, isHttp2 } from './internals.ts'
import { type Keeping, margin, newKeeping, noteKeepAlive } from './keep-alive.ts'
import type { Counts } from './stats.ts'

interface Connection {
  readonly since: number
  requests: number
  active: number
  reset: boolean
  /** When a request may be too late to reach the server before that closes (`performance.now()`). */
  staleAt: number
  readonly keeping: Keeping
}

/** What they need of their origin: who it is, and its counts. */
interface Owner {
  readonly name: string
  readonly scope: { readonly client: string }
  readonly counts: Counts
}

export class Connections {
  /** With a request on them. */
  busy = 0
  /** Each makes room for a request that waits, as soon as it is closed. */
  resetting = 0
  /** One serves many requests at once. */
  isMultiplexed = false
  readonly #owner: Owner
  readonly #known = new Map<Socket, Connection>()

  constructor(owner: Owner) {
    this.#owner = owner
  }

  get size(): number {
    return this.#known.size
  }

  /** A request is written to this socket. Returns true if the socket is new here. */
  attach(socket: Socket): boolean {
    const { counts } = this.#owner
    const known = this.#known.get(socket)
    if (known !== undefined) {
      known.requests++
      if (known.active++ === 0) this.busy++
      counts.reused++
      return false
    }
    const connection: Connection = {
      since: performance.now(),
      requests: 1,
      active: 1,
      reset: false,
      staleAt: Infinity,
      keeping: newKeeping(),
    }
    this.#known.set(socket, connection)
    this.busy++
    const protocol = isHttp2(socket) ? '2' : '1.1'
    if (protocol === '2') {
      endStreamsByCancel(socket)
      this.isMultiplexed = true
    }
    counts.opened++
    const { localPort } = socket
    this.#publish('opened', connection, localPort, protocol)
    socket.once('close', () => {
      this.forget(socket)
      this.#publish('closed', connection, localPort, protocol)
    })
    return true
  }

  /** A request is over. Returns true if it was the only one on this socket. */
  release(socket: Socket): boolean {
    const connection = this.#known.get(socket)
    if (connection === undefined || --connection.active > 0) return false
    const { idleMs, isLast } = connection.keeping
    connection.staleAt = idleMs === undefined ? Infinity : performance.now() + idleMs - margin
    // undici goes on after such an end as it does after one of its own.
    if (isLast) socket.destroy(new errors.InformationalError('last request of the connection'))
    this.busy--
    return true
  }

  /** It is closed, or belongs to somebody else. */
  forget(socket: Socket): void {
    const connection = this.#known.get(socket)
    if (connection === undefined) return
    this.#known.delete(socket)
    if (connection.active > 0) this.busy--
    if (connection.reset) this.resetting--
  }

  noteReset(socket: Socket): void {
    const connection = this.#known.get(socket)
    if (connection === undefined || connection.reset) return
    connection.reset = true
    this.resetting++
    this.#owner.counts.reset++
  }

  /** What the server says of how long it keeps a connection of HTTP/1. Returns true if this request is its last. */
  noteKeepAlive(socket: Socket, field: string | string[] | undefined): boolean {
    const connection = this.#known.get(socket)
    if (connection === undefined || this.isMultiplexed) return false
    noteKeepAlive(connection.keeping, Array.isArray(field) ? field.join(',') : field, connection.requests)
    return connection.keeping.isLast
  }

  /** Just taken out of its idleness, and about to be closed by the server, if it is not yet. */
  isStale(socket: Socket): boolean {
    const connection = this.#known.get(socket)
    if (connection === undefined || connection.staleAt === Infinity || connection.active > 1) return false
    return performance.now() > connection.staleAt
  }

  /** This error is the end of one that had carried requests, not of one that was being made. */
  hasLost(error: Error): boolean {
    for (const socket of this.#known.keys()) if (socket.errored === error) return true
    return false
  }

  #publish(
    state: 'opened' | 'closed',
    { since, requests, reset }: Connection,
    localPort: number | undefined,
    protocol: '1.1' | '2',
  ): void {
    const { name: origin, scope } = this.#owner
    publish('drained:connection', () => ({
      client: scope.client,
      origin,
      state,
      localPort,
      requests,
      reset,
      protocol,
      duration: performance.now() - since,
    }))
  }
}
