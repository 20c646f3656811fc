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
import { type EndedBy, type HolderState, type Outcome, publish, type Reason } from '../../events.ts'
import type { ResolvedDrain } from '../../options.ts'
import { atTurnEnd, type TurnTask } from '../../turn.ts'
import { Account } from '../../wire/account.ts'
import type { Decision } from '../../wire/decision.ts'
import type { Waiting } from '../../wire/held.ts'
import { closeByReset } from '../../wire/internals.ts'
import { type Holding, type Origin, type Tracked } from '../../wire/origin.ts'
import { Rostered } from '../../wire/roster.ts'
import { Draining, howToEnd } from '../../wire/settle.ts'
import { type Hooked, hookRequest, hookResponse, node } from './hooks.ts'
import { Inbox } from './inbox.ts'
import { findSeam, noteListener, noteListeners, part, type Seam, type Wire } from './seam.ts'

/**
 * - `open`: on its socket.
 * - `received`: parted; everything has arrived and waits for its reader.
 * - `draining`: parted; the rest is read and dropped.
 */
type State = 'waiting' | 'open' | 'received' | 'draining' | 'done'

export class Exchange extends Rostered implements Tracked, TurnTask, Waiting, Hooked {
  readonly since: number = performance.now()
  /** Who waits, waits in the agent of Node's. */
  readonly isPooled = false
  hasPlace = false
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
  #inbox: Inbox | undefined
  #isLookDue = false
  /** It has been written, or is about to be. */
  #isConnected = false
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

  get path(): string {
    return this.#account.path
  }

  get holding(): Holding {
    const { method, received } = this.#account
    return { state: this.#holderState, method, received, site: undefined }
  }

  get #holderState(): HolderState {
    if (this.#state === 'waiting') return 'unanswered'
    if (this.#state === 'draining') return 'draining'
    return this.#inbox?.isTouched === false ? 'untouched' : 'reading'
  }

  onAdmitted(): void {}

  // ---- from Node

  onSocket(socket: Socket): void {
    this.#socket = socket
    noteListeners(socket)
    const origin = this.#origin
    origin.start(this)
    if (!socket.connecting) {
      this.#attach(socket)
      return
    }
    const started = performance.now()
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
      this.#attach(socket)
      origin.speed.noteConnect(performance.now() - started)
    })
  }

  /** A socket that is upgraded belongs to somebody else from then on. */
  #attach(socket: Socket): void {
    this.#isConnected = true
    const origin = this.#origin
    if (!origin.attach(this, socket)) return
    noteListener(socket, socket.listeners('close').at(-1))
    socket.once('agentRemove', () => origin.connections.forget(socket))
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
    this.#account.open(response.statusCode ?? 0, response.headers, this.startedAt)
    this.#inbox = new Inbox(response, this.#account, this.#origin, this.#limits)
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
    this.#box.receive(chunk)
    return this.#mayRunOn()
  }

  #onArrival(): void {
    const inbox = this.#box
    // Node ends the message once more when its socket closes.
    if (inbox.hasArrived) return
    if (!inbox.wasStopped) this.#origin.speed.noteBody(this.#account.received, this.startedAt)
    this.#origin.untouched.remove(this)
    inbox.end()
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
    if (exchange.#state === 'open' && !exchange.#box.isRead) atTurnEnd(exchange)
  }

  /** Most responses are being read by now, or have been. */
  onTurnEnd(): void {
    if (this.#state !== 'open') return
    if (this.#box.hasArrived) this.#whenSent(() => this.#free())
    else if (!this.#box.isTouched && this.waitingSince === 0) this.#whenSent(() => this.#wait())
  }

  /** Nobody has touched it yet. */
  #wait(): void {
    const { hasArrived, isTouched } = this.#box
    if (hasArrived || isTouched || this.#state !== 'open') return
    this.waitingSince = performance.now()
    this.#origin.untouched.add(this)
  }

  /** The request is over for Node, and so is its connection unless it is parted. */
  onClose(): void {
    if (this.#state === 'waiting') {
      this.#state = 'done'
      if (!this.#isConnected) this.#origin.noteUnconnected(this)
    }
    if (this.#state === 'open' && this.#box.hasArrived) this.#receive()
    if (this.#state !== 'draining') this.#leave()
  }

  // ---- from the reader

  onRead(size: number): void {
    const inbox = this.#box
    if (!inbox.isTouched) {
      inbox.isTouched = true
      this.#origin.untouched.remove(this)
    }
    if (this.#reclaimed !== undefined) {
      this.#wire?.hush()
      this.#message.destroy(this.#reclaimed)
    } else if (inbox.ask() && this.#state === 'open') {
      node._read.call(this.#message, size)
    }
  }

  /** The request was destroyed, or nobody listens for its response. */
  onDump(): void {
    const response = this.#message
    const inbox = this.#box
    const { destroyed } = this.#request
    // More than Node would have received ahead: that it is dropped must not look like the end of the body.
    const isCut = inbox.held > 0 && this.#account.received > response.readableHighWaterMark
    if (inbox.hasArrived && !isCut) inbox.handOut()
    this.#giveUp('reader', !destroyed)
    if (isCut) inbox.hasArrived = response.complete = false
    // Nothing is destroyed, so the message ends as if it had been read.
    if (!destroyed && this.#state !== 'open') inbox.hasArrived = response.complete = true
    if (inbox.hasArrived) inbox.close()
    node._dump.call(response)
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
    publish('drained:reclaim', () => ({
      ...facts,
      ...this.#account.request,
      client: scope.client,
      waiting,
      callSite: undefined,
    }))
    this.#account.find('reclaim', true, undefined)
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
    if (this.#state === 'open' && !this.#box.hasArrived && this.#mayRunOn()) this.#socket?.resume()
  }

  // ---- between them

  get #message(): IncomingMessage {
    return this.#response as IncomingMessage
  }

  get #box(): Inbox {
    return this.#inbox as Inbox
  }

  #mayRunOn(): boolean {
    return this.#state !== 'open' || this.#box.mayGrow(this)
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
    if (this.#account.received === 0) this.#settle('read', 'complete')
    else this.#box.bequeath()
  }

  /** Undefined if the socket is gone already. */
  #part(): Wire | undefined {
    const socket = this.#request.socket
    if (socket === null || socket.destroyed || this.#wire !== undefined) return undefined
    return (this.#wire = part(this.#request, this.#message, this.#seam as Seam))
  }

  /** Frees, drains or closes the wire. `isQuiet`: the user's half must not hear of a close. */
  #giveUp(by: EndedBy, isQuiet: boolean): void {
    const { hasArrived } = this.#box
    const request = this.#request
    this.#account.endedBy = by
    if (this.#state !== 'open') {
      if (this.#state === 'received') this.#settle('drained', 'received')
      return
    }
    if (request.socket?.destroyed !== false) {
      if (!hasArrived) this.#account.endedBy = 'wire'
      this.#settle(hasArrived ? 'drained' : 'closed', hasArrived ? 'received' : 'failed')
      return
    }
    if (hasArrived && request.writableFinished) {
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
    if (decision.reason === 'cost' || decision.reason === 'time') this.#origin.speed.noteForgone()
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
    this.#origin.untouched.remove(this)
    this.#box.drop(this)
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
    this.#box.close()
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
    this.#origin.connections.noteReset(socket)
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

  #settle(outcome: Outcome, reason: Reason): void {
    if (this.#state === 'done') return
    if (this.#state === 'draining') this.#origin.counts.draining--
    this.#state = 'done'
    this.#inbox?.drop(this)
    this.#account.close(outcome, reason)
  }
}
