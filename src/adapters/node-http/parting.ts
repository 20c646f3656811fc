/**
 * An exchange parts from its socket, which goes on without it: free, read to the end of the body, or closed. Its reader notices nothing
 * but the end of the message.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { EndedBy, Outcome, Reason } from '../../events.ts'
import type { ResolvedDrain } from '../../options.ts'
import { Account } from '../../wire/account.ts'
import type { Decision } from '../../wire/decision.ts'
import type { Waiting } from '../../wire/held.ts'
import { closeByReset } from '../../wire/internals.ts'
import type { Holding, Origin, Tracked } from '../../wire/origin.ts'
import { Rostered } from '../../wire/roster.ts'
import { Draining, howToEnd } from '../../wire/settle.ts'
import type { Inbox } from './inbox.ts'
import { part, type Seam, type Wire } from './seam.ts'

/**
 * - `open`: on its socket.
 * - `received`: parted; everything has arrived and waits for its reader.
 * - `draining`: parted; the rest is read and dropped.
 */
type State = 'waiting' | 'open' | 'received' | 'draining' | 'done'

export abstract class Parting extends Rostered implements Tracked, Waiting {
  readonly since: number = performance.now()
  abstract readonly isPooled: boolean
  abstract hasPlace: boolean
  abstract readonly startedAt: number
  waitingSince = 0
  protected readonly request: ClientRequest
  protected readonly origin: Origin
  protected readonly limits: ResolvedDrain
  protected readonly account: Account
  protected socket: Socket | undefined
  protected response: IncomingMessage | undefined
  protected seam: Seam | undefined
  protected state: State = 'waiting'
  protected inbox: Inbox | undefined
  /** What a reader who comes too late gets. */
  protected reclaimed: Error | undefined
  protected wire: Wire | undefined
  #draining: Draining | undefined

  constructor(request: ClientRequest, origin: Origin, limits: ResolvedDrain) {
    super()
    this.request = request
    this.origin = origin
    this.limits = limits
    this.account = new Account(origin, request.method, request.path)
  }

  abstract readonly path: string
  abstract readonly holding: Holding
  abstract onAdmitted(): void
  abstract onRoom(): void
  abstract reclaim(age: number): void
  abstract giveUp(by: EndedBy, reason: Error): void
  abstract stopDraining(): void

  protected get message(): IncomingMessage {
    return this.response as IncomingMessage
  }

  protected get box(): Inbox {
    return this.inbox as Inbox
  }

  /** Undefined if the socket is gone already. */
  protected part(): Wire | undefined {
    const socket = this.request.socket
    if (socket === null || socket.destroyed || this.wire !== undefined) return undefined
    return (this.wire = part(this.request, this.message, this.seam as Seam))
  }

  /** Frees, drains or closes the wire. `isQuiet`: the user's half must not hear of a close. */
  protected end(by: EndedBy, isQuiet: boolean): void {
    const { hasArrived } = this.box
    const request = this.request
    this.account.endedBy = by
    if (this.state !== 'open') {
      if (this.state === 'received') this.settle('drained', 'received')
      return
    }
    if (request.socket?.destroyed !== false) {
      if (!hasArrived) this.account.endedBy = 'wire'
      this.settle(hasArrived ? 'drained' : 'closed', hasArrived ? 'received' : 'failed')
      return
    }
    if (hasArrived && request.writableFinished) {
      this.settle('drained', 'received')
      this.part()?.free()
      this.leave()
      return
    }
    const decision = this.#decide()
    if (decision.action === 'drain') {
      this.#drain(decision)
      return
    }
    if (decision.reason === 'cost' || decision.reason === 'time') this.origin.speed.noteForgone()
    this.wire = isQuiet ? this.part() : undefined
    this.settle('closed', decision.reason)
    this.#reset(isQuiet)
  }

  #decide(): Decision {
    const { shouldKeepAlive, writableFinished, agent } = this.request as ClientRequest & {
      agent?: { keepAlive?: boolean }
    }
    const isKept = shouldKeepAlive && (agent?.keepAlive === true || this.origin.waiting > 0)
    return howToEnd(this.account, this.origin, this.limits, this.socket, writableFinished && isKept)
  }

  #drain(decision: Extract<Decision, { action: 'drain' }>): void {
    const wire = this.part()
    if (wire === undefined) return
    this.state = 'draining'
    this.origin.counts.draining++
    this.origin.untouched.remove(this)
    this.box.drop(this)
    const draining = new Draining(decision, () => this.close('time'))
    this.#draining = draining
    wire.rest
      .on('data', (chunk: Buffer) => {
        const account = this.account
        account.receive(chunk.length)
        account.dropped += chunk.length
        if (!draining.takes(chunk.length, account.remaining === undefined)) this.close('bytes')
      })
      .once('end', () => {
        this.settle('drained', 'ended')
        this.#endResponse()
        wire.free()
        this.leave()
      })
      .once('close', () => {
        this.settle('closed', 'failed')
        this.leave()
      })
  }

  /** An empty body that has ended before its destruction was told is complete, as it would have been for Node. */
  #endResponse(): void {
    const response = this.message
    if (this.account.dropped > 0 || this.reclaimed !== undefined || response.closed) return
    response.complete = true
    this.box.close()
  }

  /** Ends a drain by closing. */
  protected close(reason: Reason): void {
    if (this.state !== 'draining') return
    this.settle('closed', reason)
    this.#reset(true)
  }

  /** Makes the close a reset. Node itself closes where its user has asked for it, and tells everybody. */
  #reset(closes: boolean): void {
    const socket = this.prepareReset()
    if (socket === undefined) return
    if (closes) socket.destroy()
    this.leave()
  }

  /** Whoever closes it now, it will be a reset. */
  protected prepareReset(): Socket | undefined {
    if (this.socket === undefined) return undefined
    this.origin.connections.noteReset(this.socket)
    closeByReset(this.socket)
    return this.socket
  }

  /** The connection has no more to do with this exchange. */
  protected leave(): void {
    this.#draining?.end()
    this.origin.leave(this, this.socket)
    this.socket = undefined
  }

  protected settle(outcome: Outcome, reason: Reason): void {
    if (this.state === 'done') return
    if (this.state === 'draining') this.origin.counts.draining--
    this.state = 'done'
    this.inbox?.drop(this)
    this.account.close(outcome, reason)
  }
}
