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
  /** True if this can be what it sends: something below may answer in its place, and what is written next be another's. */
  maySend(method: string, path: string): boolean
  onSocket(socket: Socket): void
}

interface SendHeaders {
  readonly request: { readonly method: string; readonly path: string }
  readonly socket: Socket
}

let sender: Sender | undefined
let subscribed = false

/** Call inside `onRequestStart`; `onSocket` follows if the request is written. */
export function expectSocket(next: Sender): void {
  sender = next
}

/** Starts to listen; the first interceptor of the process does it, importing does not. */
export function watchSockets(): void {
  if (subscribed) return
  subscribed = true
  diagnostics.subscribe('undici:client:sendHeaders', (message) => {
    const next = sender
    if (next === undefined) return
    sender = undefined
    const { request, socket } = message as SendHeaders
    if (!next.isAborted && next.maySend(request.method, request.path)) next.onSocket(socket)
  })
}
