/**
 * One request of an agent and its response, between the socket and whoever reads: the contract of this library on node:http's own objects.
 *
 *     waiting → open → read | (given up) → draining → drained | closed
 *
 * A response is read as ever. What its reader does not ask for is received ahead within the limits; once everything has arrived, or
 * the response is given up, it is parted from its socket, which goes on without it.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { BodyReclaimedError } from '../../errors.ts'
import { type EndedBy, type Outcome, publish, type Reason } from '../../events.ts'
import type { ResolvedDrain } from '../../options.ts'
import { atTurnEnd, type TurnTask } from '../../turn.ts'
import { Account } from '../../wire/account.ts'
import { Ahead } from '../../wire/ahead.ts'
import type { Decision } from '../../wire/decision.ts'
import type { Waiting } from '../../wire/held.ts'
import { closeByReset } from '../../wire/internals.ts'
import { leastForSpeed, type Origin, type Tracked } from '../../wire/origin.ts'
import { Rostered } from '../../wire/roster.ts'
import { Draining, howToEnd } from '../../wire/settle.ts'
import { type Hooked, hookRequest, hookResponse, node } from './hooks.ts'
import { findSeam, noteListener, noteListeners, part, type Seam, type Wire } from './seam.ts'

/**
 * - `open`: on its socket.
 * - `received`: parted; everything has arrived and waits for its reader.
 * - `draining`: parted; the rest is read and dropped.
 */
type State = 'waiting' | 'open' | 'received' | 'draining' | 'done'

export class Exchange extends Rostered implements Tracked, TurnTask, Waiting, Hooked {
  readonly since: number = performance.now()
  startedAt = 0
  waitingSince = 0
  readonly #request: ClientRequest
  readonly #origin: Origin
  readonly #limits: ResolvedDrain
  readonly #account: Account
  #socket: Socket | undefined
  #response: IncomingMessage | undefined
  #seam: Seam | undefined
  #state: State = 'waiting'
  #ahead: Ahead | undefined
  /** The reader has asked for data at least once: somebody is there. */
  #isTouched = false
  /** The reader has room for more than it has got. */
  #isWanted = false
  #hasArrived = false
  #isLookDue = false
  /** The wire was stopped, so the time it took says nothing of its speed. */
  #wasStopped = false
  /** What a reader who comes too late gets. */
  #reclaimed: Error | undefined
  #wire: Wire | undefined
  #draining: Draining | undefined

  constructor(request: ClientRequest, origin: Origin, limits: ResolvedDrain) {
    super()
    this.#request = request
    this.#origin = origin
    this.#limits = limits
    this.#account = new Account(origin, request.method, request.path)
    origin.wait(this)
    hookRequest(request, this)
  }

  // ---- from Node

  onSocket(socket: Socket): void {
    this.#socket = socket
    noteListeners(socket)
    const origin = this.#origin
    origin.start(this)
    if (!socket.connecting) {
      attach(origin, socket)
      return
    }
    const started = performance.now()
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
      attach(origin, socket)
      origin.noteConnect(performance.now() - started)
    })
  }

  onResponse(response: IncomingMessage): void {
    const request = this.#request
    const isUnheard = request.listenerCount('response') === 1
    this.#seam = findSeam(request, response)
    if (this.#seam === undefined) {
      if (isUnheard) node._dump.call(response)
      return
    }
    this.#response = response
    this.startedAt = performance.now()
    this.#state = 'open'
    this.#account.open(response.statusCode ?? 0, response.headers)
    hookResponse(response, this)
    // Node drops the body of a response nobody listens for, however long it is. We do so while the request is being sent.
    if (isUnheard && !request.writableFinished) node._dump.call(response)
    if (!isUnheard) this.#lookSoon()
    else this.#whenSent(() => this.onDump())
  }

  /** From the parser: false stops the socket. */
  onPush(chunk: Buffer | null): boolean {
    if (chunk === null) {
      this.#onArrival()
      return true
    }
    this.#account.receive(chunk.length)
    if (this.#isWanted) {
      this.#deliver(chunk)
    } else {
      this.#ahead ??= new Ahead(this.#origin, this.#limits)
      this.#ahead.push(chunk)
    }
    return this.#isWanted || this.#mayRunOn()
  }

  #onArrival(): void {
    // Node ends the message once more when its socket closes.
    if (this.#hasArrived) return
    this.#hasArrived = true
    const { received } = this.#account
    if (!this.#wasStopped && received >= leastForSpeed)
      this.#origin.noteSpeed(received, performance.now() - this.startedAt)
    this.#origin.removeUntouched(this)
    this.#ahead?.expectNoMore()
    if (this.#heldBytes === 0) node.push.call(this.#message, null)
    this.#lookSoon()
  }

  /** Once the parser is done. Most responses are read by then, and need no look at the end of the turn, which keeps the loop spinning. */
  #lookSoon(): void {
    if (this.#isLookDue) return
    this.#isLookDue = true
    process.nextTick(Exchange.#look, this)
  }

  static readonly #look = (exchange: Exchange): void => {
    exchange.#isLookDue = false
    if (exchange.#state !== 'open') return
    const { readableFlowing, readableLength } = exchange.#message
    const isRead =
      exchange.#hasArrived && readableFlowing === true && readableLength + exchange.#heldBytes === 0
    if (!isRead) atTurnEnd(exchange)
  }

  /** Most responses are being read by now, or have been. */
  onTurnEnd(): void {
    const response = this.#response
    if (this.#state !== 'open' || response === undefined) return
    if (this.#hasArrived) {
      if (!response.readableEnded) this.#whenSent(() => this.#free())
    } else if (!this.#isTouched && this.waitingSince === 0) {
      this.#whenSent(() => {
        if (this.#hasArrived || this.#isTouched || this.#state !== 'open') return
        this.waitingSince = performance.now()
        this.#origin.addUntouched(this)
      })
    }
  }

  /** The request is over for Node, and so is its connection unless it is parted. */
  onClose(): void {
    if (this.#state === 'waiting') this.#state = 'done'
    if (this.#state === 'open' && this.#hasArrived) this.#receive()
    if (this.#state !== 'draining') this.#leave()
  }

  // ---- from the reader

  onRead(size: number): void {
    if (!this.#isTouched) {
      this.#isTouched = true
      this.#origin.removeUntouched(this)
    }
    if (this.#reclaimed !== undefined) {
      this.#wire?.hush()
      this.#message.destroy(this.#reclaimed)
      return
    }
    this.#isWanted = true
    const ahead = this.#ahead
    if (ahead !== undefined) {
      for (let chunk; this.#isWanted && (chunk = ahead.shift()) !== undefined;) this.#deliver(chunk)
      if (this.#isWanted || this.#hasArrived) ahead.expectNoMore()
    }
    if (this.#heldBytes > 0) return
    if (this.#hasArrived) node.push.call(this.#message, null)
    else if (this.#state === 'open') node._read.call(this.#message, size)
  }

  /** The request was destroyed, or nobody listens for its response. */
  onDump(): void {
    const response = this.#message
    const { destroyed } = this.#request
    // More than Node would have received ahead: that it is dropped must not look like the end of the body.
    const isCut = this.#heldBytes > 0 && this.#account.received > response.readableHighWaterMark
    if (this.#hasArrived && !isCut) this.#handOut()
    this.#giveUp('reader', !destroyed)
    if (isCut) this.#hasArrived = response.complete = false
    // Nothing is destroyed, so the message ends as if it had been read.
    if (!destroyed && this.#state !== 'open') this.#hasArrived = response.complete = true
    if (this.#hasArrived) node.push.call(response, null)
    node._dump.call(response)
  }

  /** What is held goes where Node would have it; nobody has asked for it. */
  #handOut(): void {
    for (let chunk; (chunk = this.#ahead?.shift()) !== undefined;) {
      this.#account.dropped += chunk.length
      node.push.call(this.#message, chunk)
    }
  }

  onDestroy(): void {
    const { readableEnded, complete } = this.#message
    if (this.#state === 'draining') return
    if (readableEnded && complete) this.#settle('read', 'complete')
    else this.#giveUp('reader', false)
  }

  // ---- from the origin

  reclaim(age: number): void {
    // Paused on purpose is not untouched.
    if (this.#state !== 'open' || this.#message.readableFlowing !== null) return
    const { name, scope, waiting } = this.#origin
    const facts = { origin: name, age, received: this.#account.received }
    publish('drained:reclaim', () => ({ ...facts, ...this.#account.request, client: scope.client, waiting }))
    this.#reclaimed = new BodyReclaimedError(facts)
    this.#giveUp('reclaim', true)
  }

  giveUp(_: EndedBy, reason: Error): void {
    this.#response?.destroy(reason)
  }

  /** Nobody wants the connection any more. */
  stopDraining(): void {
    if (this.#state === 'draining') this.#close('closing')
  }

  /** The budget has room again. */
  onRoom(): void {
    if (this.#state !== 'open' || this.#hasArrived) return
    if (this.#isWanted || this.#mayRunOn()) this.#socket?.resume()
  }

  // ---- between them

  get #message(): IncomingMessage {
    return this.#response as IncomingMessage
  }

  get #heldBytes(): number {
    return this.#ahead?.length ?? 0
  }

  #deliver(chunk: Buffer): void {
    this.#account.deliver(chunk.length)
    this.#isWanted = node.push.call(this.#message, chunk)
  }

  /** The wire may run while what it will bring may be held. */
  #mayRunOn(): boolean {
    if (this.#state !== 'open') return true
    this.#ahead ??= new Ahead(this.#origin, this.#limits)
    const may = this.#ahead.mayGrow(this.#account.remaining, this)
    if (!may) this.#wasStopped = true
    return may
  }

  /** What a request still writes needs its socket. */
  #whenSent(task: () => void): void {
    if (this.#request.writableFinished) task()
    else this.#request.once('finish', task)
  }

  /** Everything has arrived, and from now on only its reader keeps this response alive. */
  #free(): void {
    const response = this.#message
    if (this.#state !== 'open' || response.readableEnded || response.destroyed) return
    this.#receive()
    this.#part()?.free()
    this.#leave()
  }

  #receive(): void {
    this.#state = 'received'
    const { received, method, path, read, head } = this.#account
    if (received === 0) {
      this.#settle('read', 'complete')
      return
    }
    this.#ahead ??= new Ahead(this.#origin, this.#limits)
    this.#ahead.bequeath(this.#message, { method, path, status: head?.status ?? 0 }, read)
  }

  /** Undefined if the socket is gone already. */
  #part(): Wire | undefined {
    const socket = this.#request.socket
    if (socket === null || socket.destroyed || this.#wire !== undefined) return undefined
    return (this.#wire = part(this.#request, this.#message, this.#seam as Seam))
  }

  /** Frees, drains or closes the wire. `isQuiet`: the user's half must not hear of a close. */
  #giveUp(by: EndedBy, isQuiet: boolean): void {
    const request = this.#request
    this.#account.endedBy = by
    if (this.#state !== 'open') {
      if (this.#state === 'received') this.#settle('drained', 'received')
      return
    }
    if (request.socket?.destroyed !== false) {
      if (!this.#hasArrived) this.#account.endedBy = 'wire'
      this.#settle(this.#hasArrived ? 'drained' : 'closed', this.#hasArrived ? 'received' : 'failed')
      return
    }
    if (this.#hasArrived && request.writableFinished) {
      this.#settle('drained', 'received')
      this.#part()?.free()
      this.#leave()
      return
    }
    const decision = this.#decide()
    if (decision.action === 'drain') {
      this.#drain(decision)
      return
    }
    if (decision.reason === 'cost' || decision.reason === 'time') this.#origin.noteForgone()
    this.#wire = isQuiet ? this.#part() : undefined
    this.#settle('closed', decision.reason)
    this.#reset(isQuiet)
  }

  #decide(): Decision {
    const { shouldKeepAlive, writableFinished, agent } = this.#request as ClientRequest & {
      agent?: { keepAlive?: boolean }
    }
    const isKept = shouldKeepAlive && (agent?.keepAlive === true || this.#origin.waiting > 0)
    return howToEnd(this.#account, this.#origin, this.#limits, this.#socket, writableFinished && isKept)
  }

  #drain(decision: Extract<Decision, { action: 'drain' }>): void {
    const wire = this.#part()
    if (wire === undefined) return
    this.#state = 'draining'
    this.#origin.counts.draining++
    this.#origin.removeUntouched(this)
    this.#dropAhead()
    const draining = new Draining(decision, () => this.#close('time'))
    this.#draining = draining
    wire.rest
      .on('data', (chunk: Buffer) => {
        const account = this.#account
        account.receive(chunk.length)
        account.dropped += chunk.length
        if (!draining.takes(chunk.length, account.remaining === undefined)) this.#close('bytes')
      })
      .once('end', () => {
        this.#settle('drained', 'ended')
        this.#endResponse()
        wire.free()
        this.#leave()
      })
      .once('close', () => {
        this.#settle('closed', 'failed')
        this.#leave()
      })
  }

  /** An empty body that has ended before its destruction was told is complete, as it would have been for Node. */
  #endResponse(): void {
    const response = this.#message
    if (this.#account.dropped > 0 || this.#reclaimed !== undefined || response.closed) return
    response.complete = true
    node.push.call(response, null)
  }

  /** Ends a drain by closing. */
  #close(reason: Reason): void {
    if (this.#state !== 'draining') return
    this.#settle('closed', reason)
    this.#reset(true)
  }

  /** Makes the close a reset. Node itself closes where its user has asked for it, and tells everybody. */
  #reset(closes: boolean): void {
    const socket = this.#socket
    if (socket === undefined) return
    this.#origin.noteReset(socket)
    closeByReset(socket)
    if (closes) socket.destroy()
    this.#leave()
  }

  /** The connection has no more to do with this exchange. */
  #leave(): void {
    this.#draining?.end()
    this.#origin.leave(this, this.#socket)
    this.#socket = undefined
  }

  #dropAhead(): void {
    this.#account.dropped += this.#ahead?.drop(this) ?? 0
  }

  #settle(outcome: Outcome, reason: Reason): void {
    if (this.#state === 'done') return
    if (this.#state === 'draining') this.#origin.counts.draining--
    this.#state = 'done'
    this.#dropAhead()
    this.#account.close(outcome, reason)
  }
}

/** A socket that is upgraded belongs to somebody else from then on. */
function attach(origin: Origin, socket: Socket): void {
  if (!origin.attach(socket)) return
  noteListener(socket, socket.listeners('close').at(-1))
  socket.once('agentRemove', () => origin.forget(socket))
}
