/**
 * One response body between its socket and its reader: an undici handler towards the wire, a controller towards the reader.
 *
 *     waiting → flowing ⇄ holding → read
 *                    ↘ (given up) → draining → drained | closed
 *
 * Only it holds bytes. Pausing it makes it hold what arrives; giving it up settles the wire behind the reader's back. It never
 * refers to a Response, so that one nobody refers to can be collected while the socket still delivers.
 */
import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { BodyGivenUpError, BodyReclaimedError } from '../errors.ts'
import { type EndedBy, type Outcome, publish, type Reason, redactUrl } from '../events.ts'
import type { ResolvedDrain } from '../options.ts'
import { decide } from './decision.ts'
import { announcedLength, canBeReused, chunkOverhead, isEventStream, type ResponseHead } from './framing.ts'
import { budget, HeldBytes } from './held.ts'
import { reset } from './internals.ts'
import type { Origin } from './origin.ts'
import { expectSocket } from './sockets.ts'

type Controller = Dispatcher.DispatchController
type Headers = ResponseHead['headers']
type State = 'waiting' | 'flowing' | 'holding' | 'draining' | 'done'

/** What the reader's side gets to steer a body with: it pauses, resumes and aborts, and never waits for the wire. */
class ReaderController implements Controller {
  paused = false
  aborted = false
  reason: Error | null = null
  readonly #body: Body

  constructor(body: Body) {
    this.#body = body
  }

  get rawHeaders(): NonNullable<Controller['rawHeaders']> | null {
    return this.#body.wire?.rawHeaders ?? null
  }

  get rawTrailers(): NonNullable<Controller['rawTrailers']> | null {
    return this.#body.wire?.rawTrailers ?? null
  }

  pause(): void {
    if (this.paused) return
    this.paused = true
    this.#body.onPause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.#body.onResume()
  }

  abort(reason?: Error): void {
    this.#body.giveUp('reader', reason ?? new BodyGivenUpError())
  }
}

interface Ahead {
  readonly origin: Origin
  bytes: number
}

/** Bodies whose end arrived and that nobody read: their bytes are released when the collector finds them. */
const collected = new FinalizationRegistry<Ahead>(({ origin, bytes }) => {
  origin.counts.holding--
  origin.counts.bytesHeld -= bytes
  origin.counts.bytesDrained += bytes
  budget.give(bytes)
  origin.noteOutcome('drained', 'collected')
})

export class Body implements Dispatcher.DispatchHandler {
  readonly method: string
  readonly path: string
  readonly since: number = performance.now()
  wire: Controller | null = null
  waitingSince = 0
  readonly #handler: Dispatcher.DispatchHandler
  readonly #origin: Origin
  readonly #limits: ResolvedDrain
  readonly #reader: ReaderController = new ReaderController(this)
  /** Dispatched when nothing stood in the way but the making of a connection. */
  readonly #hadRoom: boolean
  #requestSent: boolean
  #state: State = 'waiting'
  #socket: Socket | undefined
  #status = 0
  #headers: Headers = {}
  /** Bytes still to come; undefined when not declared. */
  #remaining: number | undefined
  #received = 0
  #read = 0
  #drained = 0
  #held: HeldBytes | undefined
  /** Bytes this body has taken from the budget. */
  #charged = 0
  #flushing = false
  /** The reader has asked for more after it had paused: somebody is there. */
  #touched = false
  /** The wire was stopped, so the time it took says nothing of its speed. */
  #wasStopped = false
  /** The trailers, once the end has arrived while bytes are still held. */
  #end: Headers | undefined
  /** What the collector gives back if nobody ever reads; known to it, so it must not lead here. */
  #ahead: Ahead | undefined
  #startedAt = 0
  #deadline: NodeJS.Timeout | undefined
  #drainLimit = 0
  /** Its rest is being read and dropped. */
  #isDraining = false
  #endedBy: EndedBy = 'reader'

  constructor(
    opts: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
    origin: Origin,
    limits: ResolvedDrain,
  ) {
    this.method = opts.method
    this.path = opts.path
    this.#handler = handler
    this.#origin = origin
    this.#limits = limits
    this.#hadRoom = origin.hasRoom
    this.#requestSent = opts.body == null
    if (handler.onResponseStarted !== undefined) this.onResponseStarted = () => handler.onResponseStarted?.()
    if (handler.onBodySent !== undefined) this.onBodySent = (chunk) => handler.onBodySent?.(chunk)
    origin.wait(this)
  }

  // Present only if the handler has them: undici asks.
  declare onResponseStarted?: () => void
  declare onBodySent?: (chunk: Buffer) => void

  // ---- from the wire

  onRequestStart(controller: Controller, context: unknown): void {
    // HTTP/2 starts a request again on another connection when the first one is going away.
    this.#leaveWire()
    this.wire = controller
    this.#origin.start(this)
    const { error } = this.#origin.scope
    if (error !== undefined) {
      this.giveUp('client', error)
      return
    }
    expectSocket(this)
    this.#handler.onRequestStart?.(this.#reader, context)
  }

  onSocket(socket: Socket): void {
    if (this.#state !== 'waiting') return
    this.#socket = socket
    if (this.#origin.attach(socket) && this.#hadRoom) this.#origin.noteConnect(performance.now() - this.since)
  }

  onRequestSent(): void {
    this.#requestSent = true
    this.#handler.onRequestSent?.()
  }

  onRequestUpgrade(
    _: Controller,
    status: number,
    headers: Headers,
    socket: Parameters<NonNullable<Dispatcher.DispatchHandler['onRequestUpgrade']>>[3],
  ): void {
    // The socket now belongs to whoever asked for the upgrade.
    this.#leaveWire()
    this.#state = 'done'
    this.#handler.onRequestUpgrade?.(this.#reader, status, headers, socket)
  }

  onResponseStart(_: Controller, status: number, headers: Headers, statusText?: string): void {
    if (status < 200) {
      this.#handler.onResponseStart?.(this.#reader, status, headers, statusText)
      return
    }
    this.#status = status
    this.#headers = headers
    this.#remaining = announcedLength(this.#head)
    this.#state = 'flowing'
    this.#startedAt = performance.now()
    this.#origin.counts.open++
    try {
      this.#handler.onResponseStart?.(this.#reader, status, headers, statusText)
    } catch (error) {
      this.giveUp('reader', error as Error)
    }
    // Paused before there was anything to pause.
    if (this.#reader.paused) this.onPause()
  }

  onResponseData(_: Controller, chunk: Buffer): void {
    this.#received += chunk.length
    if (this.#remaining !== undefined) this.#remaining -= chunk.length
    switch (this.#state) {
      case 'flowing':
        if (this.#flushing) this.#hold(chunk)
        else this.#deliver(chunk)
        return
      case 'holding':
        this.#hold(chunk)
        return
      case 'draining':
        this.#drained += chunk.length
        this.#drainLimit -= chunk.length + (this.#remaining === undefined ? chunkOverhead(chunk.length) : 0)
        if (this.#drainLimit < 0) this.#close('bytes')
    }
  }

  onResponseEnd(_: Controller, trailers: Headers): void {
    if (this.#state === 'done') return
    if (!this.#wasStopped) this.#origin.noteSpeed(this.#received, performance.now() - this.#startedAt)
    this.#leaveWire()
    if (this.#state === 'draining') {
      this.#settle('drained', 'ended')
    } else if (this.#held !== undefined && this.#held.length > 0) {
      this.#end = trailers
      this.#ahead = { origin: this.#origin, bytes: this.#held.length }
      collected.register(this, this.#ahead, this)
      this.#uncharge()
    } else {
      this.#finish(trailers)
    }
  }

  onResponseError(_: Controller | null, error: Error): void {
    const state = this.#state
    if (state === 'done') return
    this.#leaveWire()
    if (state === 'waiting') {
      this.#state = 'done'
      this.#handler.onResponseError?.(this.#reader, error)
      return
    }
    if (state !== 'draining') this.#endedBy = 'wire'
    this.#settle('closed', 'failed')
    if (state !== 'draining') this.#handler.onResponseError?.(this.#reader, error)
  }

  // ---- from the reader

  onPause(): void {
    if (this.#state !== 'flowing') return
    this.#state = 'holding'
    if (!this.#touched && this.waitingSince === 0 && this.#end === undefined) {
      this.waitingSince = performance.now()
      this.#origin.addUntouched(this)
    }
    this.#regulate()
  }

  onResume(): void {
    if (this.#state !== 'holding') return
    this.#touched = true
    this.#origin.removeUntouched(this)
    this.#state = 'flowing'
    this.#flush()
  }

  /** The reader is told at once; the wire is settled behind it. */
  giveUp(by: EndedBy, reason: Error): void {
    if (this.#state === 'done' || this.#state === 'draining') return
    // Only a reader that aborted itself knows already: any other would take the error for its own.
    this.#reader.aborted = by === 'reader'
    this.#reader.reason = reason
    if (this.#state === 'waiting') {
      this.#abortWire(reason)
      return
    }
    this.#endedBy = by
    this.#state = 'draining'
    this.#dropHeld()
    try {
      this.#handler.onResponseError?.(this.#reader, reason)
    } finally {
      if (this.#end !== undefined) this.#settle('drained', 'received')
      else this.#endWire()
    }
  }

  reclaim(age: number): void {
    const origin = this.#origin
    const facts = { origin: origin.name, age, received: this.#received }
    publish('drained:reclaim', () => ({
      ...facts,
      client: origin.scope.client,
      method: this.method,
      path: redactUrl(this.path),
      status: this.#status,
      waiting: origin.waiting,
    }))
    this.giveUp('reclaim', new BodyReclaimedError(facts))
  }

  /** The client closes: what nobody reads is over now. */
  stopDraining(): void {
    if (this.#state === 'draining') this.#close('closing')
  }

  /** The budget has room again. */
  onRoom(): void {
    if (this.#state === 'holding') this.#regulate()
  }

  // ---- between them

  get #head(): ResponseHead {
    return { method: this.method, status: this.#status, headers: this.#headers }
  }

  #deliver(chunk: Buffer): void {
    this.#read += chunk.length
    this.#origin.counts.bytesRead += chunk.length
    try {
      this.#handler.onResponseData?.(this.#reader, chunk)
    } catch (error) {
      this.giveUp('reader', error as Error)
    }
  }

  #hold(chunk: Buffer): void {
    this.#held ??= new HeldBytes()
    if (this.#held.length === 0) this.#origin.counts.holding++
    this.#held.push(chunk)
    this.#origin.counts.bytesHeld += chunk.length
    const missing = this.#held.length - this.#charged
    if (missing > 0) this.#charge(missing)
    if (this.#remaining === undefined || this.#remaining > 0) this.#regulate()
  }

  /** Lets the wire run while what it will bring may be held; stops it otherwise. */
  #regulate(): void {
    if (this.#state !== 'holding' || this.#end !== undefined) return
    if (this.#mayHoldMore()) {
      this.wire?.resume()
    } else {
      this.#wasStopped = true
      this.wire?.pause()
    }
  }

  #mayHoldMore(): boolean {
    const held = this.#held?.length ?? 0
    const { readAhead, memory } = this.#limits
    if (this.#remaining === undefined) {
      // One byte more than fits shows that it does not.
      if (held > readAhead) return false
      if (budget.used < memory) return true
    } else {
      // Nothing is received ahead of a body that cannot be received whole: it would only cost memory.
      const whole = held + this.#remaining
      if (whole > readAhead) return false
      const missing = whole - this.#charged
      if (missing <= 0) return true
      if (budget.take(missing, memory)) {
        this.#charged += missing
        return true
      }
    }
    budget.wait(this)
    return false
  }

  #charge(bytes: number): void {
    this.#charged += bytes
    budget.force(bytes)
  }

  #flush(): void {
    if (this.#flushing) return
    const held = this.#held
    if (held !== undefined) {
      this.#flushing = true
      while (this.#state === 'flowing' && held.length > 0) {
        const chunk = held.shift() as Buffer
        this.#origin.counts.bytesHeld -= chunk.length
        if (held.length === 0) this.#origin.counts.holding--
        this.#deliver(chunk)
      }
      this.#flushing = false
    }
    this.#uncharge()
    // Not if the reader paused or gave up meanwhile.
    if (this.#state !== 'flowing') return
    if (this.#end === undefined) this.wire?.resume()
    else this.#finish(this.#end)
  }

  /** Gives back to the budget what is neither held nor still expected. */
  #uncharge(): void {
    if (this.#state === 'holding' && this.#end === undefined) return
    const keep = this.#held?.length ?? 0
    const spare = this.#charged - keep
    this.#charged = keep
    if (this.#ahead !== undefined) this.#ahead.bytes = keep
    budget.give(spare)
  }

  #dropHeld(): void {
    budget.forget(this)
    const held = this.#held
    if (held !== undefined && held.length > 0) {
      this.#drained += held.length
      this.#origin.counts.bytesHeld -= held.length
      this.#origin.counts.holding--
      held.clear()
    }
    const charged = this.#charged
    this.#charged = 0
    budget.give(charged)
  }

  #finish(trailers: Headers): void {
    this.#settle('read', 'complete')
    this.#handler.onResponseEnd?.(this.#reader, trailers)
  }

  /** Drains or closes, whichever is cheaper. */
  #endWire(): void {
    const origin = this.#origin
    const decision = decide({
      remaining: this.#remaining,
      // undici closes the connection when a response has ended before its request was sent.
      reusable: this.#requestSent && canBeReused(this.#head, this.#socket),
      http2: (this.#socket as { alpnProtocol?: unknown } | undefined)?.alpnProtocol === 'h2',
      eventStream: isEventStream(this.#headers),
      closing: origin.scope.closing,
      connectMs: origin.connectMs,
      bytesPerMs: origin.bytesPerMs,
      maxBytes: this.#limits.maxBytes,
      maxTime: this.#limits.maxTime,
    })
    if (decision.action === 'close') {
      this.#close(decision.reason)
      return
    }
    origin.removeUntouched(this)
    origin.counts.draining++
    this.#isDraining = true
    this.#drainLimit = decision.maxBytes
    this.#deadline = setTimeout(() => this.#close('time'), decision.maxMs)
    this.#deadline.unref()
    this.wire?.resume()
  }

  #close(reason: Reason): void {
    const wire = this.wire
    const socket = this.#socket
    this.#settle('closed', reason)
    if (reason !== 'http2' && socket !== undefined) {
      this.#origin.noteReset(socket)
      this.#leaveWire()
      reset(socket)
    } else {
      this.#leaveWire()
    }
    wire?.abort(new BodyGivenUpError(`The response body was given up and its connection closed (${reason})`))
  }

  /** Before the headers there is nothing to drain: the request itself is over, and with it its connection. */
  #abortWire(reason: Error): void {
    const socket = this.#socket
    const isHttp1 = socket !== undefined && (socket as { alpnProtocol?: unknown }).alpnProtocol !== 'h2'
    if (isHttp1) {
      this.#origin.noteReset(socket)
      reset(socket)
    }
    this.wire?.abort(reason)
  }

  /** The connection has no more to do with this body. */
  #leaveWire(): void {
    clearTimeout(this.#deadline)
    this.#origin.stopWaiting(this)
    this.#origin.leave(this, this.#socket)
  }

  #settle(outcome: Outcome, reason: Reason): void {
    const origin = this.#origin
    if (this.#isDraining) origin.counts.draining--
    this.#isDraining = false
    this.#state = 'done'
    collected.unregister(this)
    this.#dropHeld()
    const unread = outcome === 'closed' ? this.#remaining : 0
    origin.counts.bytesDrained += this.#drained
    origin.counts.bytesUnread += unread ?? 0
    origin.noteOutcome(outcome, reason)
    publish('drained:body', () => ({
      client: origin.scope.client,
      origin: origin.name,
      method: this.method,
      path: redactUrl(this.path),
      status: this.#status,
      outcome,
      reason,
      endedBy: this.#endedBy,
      read: this.#read,
      drained: this.#drained,
      unread,
    }))
  }
}
