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
import { type EndedBy, type HolderState, publish } from '../../events.ts'
import type { ResolvedDrain } from '../../options.ts'
import { atTurnEnd, type TurnTask } from '../../turn.ts'
import type { Holding, Origin } from '../../wire/origin.ts'
import { type Hooked, hookRequest, hookResponse, node } from './hooks.ts'
import { Inbox } from './inbox.ts'
import { Parting } from './parting.ts'
import { findSeam, noteListener, noteListeners } from './seam.ts'

export class Exchange extends Parting implements TurnTask, Hooked {
  /** Who waits, waits in the agent of Node's. */
  readonly isPooled = false
  hasPlace = false
  startedAt = 0
  #isLookDue = false
  /** It has been written, or is about to be. */
  #isConnected = false

  constructor(request: ClientRequest, origin: Origin, limits: ResolvedDrain) {
    super(request, origin, limits)
    origin.wait(this)
    hookRequest(request, this)
  }

  get path(): string {
    return this.account.path
  }

  get holding(): Holding {
    const { method, received } = this.account
    return { state: this.#holderState, method, received, site: undefined }
  }

  get #holderState(): HolderState {
    if (this.state === 'waiting') return 'unanswered'
    if (this.state === 'draining') return 'draining'
    return this.inbox?.isTouched === false ? 'untouched' : 'reading'
  }

  onAdmitted(): void {}

  // ---- from Node

  onSocket(socket: Socket): void {
    this.socket = socket
    noteListeners(socket)
    const origin = this.origin
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
    const origin = this.origin
    if (!origin.attach(this, socket)) return
    noteListener(socket, socket.listeners('close').at(-1))
    socket.once('agentRemove', () => origin.connections.forget(socket))
  }

  onResponse(response: IncomingMessage): void {
    const request = this.request
    const isUnheard = request.listenerCount('response') === 1
    this.seam = findSeam(request, response)
    if (this.seam === undefined) {
      if (isUnheard) node._dump.call(response)
      return
    }
    this.response = response
    this.startedAt = performance.now()
    this.state = 'open'
    this.account.open(response.statusCode ?? 0, response.headers, this.startedAt)
    this.inbox = new Inbox(response, this.account, this.origin, this.limits)
    hookResponse(response, this)
    // Node drops the body of a response nobody listens for, however long it is. We do so while the request is being sent.
    if (isUnheard && !request.writableFinished) node._dump.call(response)
    if (!isUnheard) this.#lookSoon()
    else this.#whenSent(() => this.onDump())
  }

  /** Of a request that has been written, and has no response yet: Node closes its connection. */
  onAbort(): void {
    const { res } = this.request as { res?: IncomingMessage | null }
    if (this.state === 'waiting' && this.#isConnected && !res) this.prepareReset()
  }

  /** From the parser: false stops the socket. */
  onPush(chunk: Buffer | null): boolean {
    if (chunk === null) {
      this.#onArrival()
      return true
    }
    this.box.receive(chunk)
    return this.#mayRunOn()
  }

  #onArrival(): void {
    const inbox = this.box
    // Node ends the message once more when its socket closes.
    if (inbox.hasArrived) return
    if (!inbox.wasStopped) this.origin.speed.noteBody(this.account.received, this.startedAt)
    this.origin.untouched.remove(this)
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
    if (exchange.state === 'open' && !exchange.box.isRead) atTurnEnd(exchange)
  }

  /** Most responses are being read by now, or have been. */
  onTurnEnd(): void {
    if (this.state !== 'open') return
    if (this.box.hasArrived) this.#whenSent(() => this.#free())
    else if (!this.box.isTouched && this.waitingSince === 0) this.#whenSent(() => this.#wait())
  }

  /** Nobody has touched it yet. */
  #wait(): void {
    const { hasArrived, isTouched } = this.box
    if (hasArrived || isTouched || this.state !== 'open') return
    this.waitingSince = performance.now()
    this.origin.untouched.add(this)
  }

  /** The request is over for Node, and so is its connection unless it is parted. */
  onClose(): void {
    if (this.state === 'waiting') {
      this.state = 'done'
      if (!this.#isConnected) this.origin.noteWait(this, 'none')
    }
    if (this.state === 'open' && this.box.hasArrived) this.#receive()
    if (this.state !== 'draining') this.leave()
  }

  // ---- from the reader

  onRead(size: number): void {
    const inbox = this.box
    if (!inbox.isTouched) {
      inbox.isTouched = true
      this.origin.untouched.remove(this)
    }
    if (this.reclaimed !== undefined) {
      this.wire?.hush()
      this.message.destroy(this.reclaimed)
    } else if (inbox.ask() && this.state === 'open') {
      node._read.call(this.message, size)
    }
  }

  /** The request was destroyed, or nobody listens for its response. */
  onDump(): void {
    const response = this.message
    const inbox = this.box
    const { destroyed } = this.request
    // More than Node would have received ahead: that it is dropped must not look like the end of the body.
    const isCut = inbox.held > 0 && this.account.received > response.readableHighWaterMark
    if (inbox.hasArrived && !isCut) inbox.handOut()
    this.end('reader', !destroyed)
    if (isCut) inbox.hasArrived = response.complete = false
    // Nothing is destroyed, so the message ends as if it had been read.
    if (!destroyed && this.state !== 'open') inbox.hasArrived = response.complete = true
    if (inbox.hasArrived) inbox.close()
    node._dump.call(response)
  }

  onDestroy(): void {
    const { readableEnded, complete } = this.message
    if (this.state === 'draining') return
    if (readableEnded && complete) this.settle('read', 'complete')
    else this.end('reader', false)
  }

  // ---- from the origin

  reclaim(age: number): void {
    // Paused on purpose is not untouched.
    if (this.state !== 'open' || this.message.readableFlowing !== null) return
    const { name, scope, waiting } = this.origin
    const facts = { origin: name, age, received: this.account.received }
    publish('drained:reclaim', () => ({
      ...facts,
      ...this.account.request,
      client: scope.client,
      waiting,
      callSite: undefined,
    }))
    this.account.find('reclaim', true, undefined)
    this.reclaimed = new BodyReclaimedError(facts)
    this.end('reclaim', true)
  }

  giveUp(_: EndedBy, reason: Error): void {
    this.response?.destroy(reason)
  }

  /** Nobody wants the connection any more. */
  stopDraining(): void {
    if (this.state === 'draining') this.close('closing')
  }

  /** The budget has room again. */
  onRoom(): void {
    if (this.state === 'open' && !this.box.hasArrived && this.#mayRunOn()) this.socket?.resume()
  }

  // ---- between them

  #mayRunOn(): boolean {
    return this.state !== 'open' || this.box.mayGrow(this)
  }

  /** What a request still writes needs its socket. */
  #whenSent(task: () => void): void {
    if (this.request.writableFinished) task()
    else this.request.once('finish', task)
  }

  /** Everything has arrived, and from now on only its reader keeps this response alive. */
  #free(): void {
    const response = this.message
    if (this.state !== 'open' || response.readableEnded || response.destroyed) return
    this.#receive()
    this.part()?.free()
    this.leave()
  }

  #receive(): void {
    this.state = 'received'
    if (this.account.received === 0) this.settle('read', 'complete')
    else this.box.bequeath()
  }
}
