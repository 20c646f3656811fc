/**
 * Which socket carries which request: undici says so on its `undici:client:sendHeaders` channel, synchronously after
 * `onRequestStart` of the same request.
 */
import diagnostics from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** A request that is about to be written. */
export interface Sender {
  /** Given up before it was written, so what is written next is something else. */
  readonly isAborted: boolean
  onSocket(socket: Socket): void
}

let sender: Sender | undefined
let subscribed = false

/** What comes later than this turn belongs to another: answers of a cache or a mock are never written. */
const forget = (): void => {
  sender = undefined
}

/** Call inside `onRequestStart`; `onSocket` follows if the request is written. */
export function expectSocket(next: Sender): void {
  sender = next
  queueMicrotask(forget)
}

/** Starts to listen; the first interceptor of the process does it, importing does not. */
export function watchSockets(): void {
  if (subscribed) return
  subscribed = true
  diagnostics.subscribe('undici:client:sendHeaders', (message) => {
    const next = sender
    if (next === undefined) return
    sender = undefined
    if (!next.isAborted) next.onSocket((message as { readonly socket: Socket }).socket)
  })
}
