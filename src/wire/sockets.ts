/**
 * Which socket carries which request: undici says so on its `undici:client:sendHeaders` channel, synchronously after
 * `onRequestStart` of the same request.
 */
import diagnostics from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** A request that is about to be written. */
export interface Sender {
  readonly method: string
  readonly path: string
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
    const { request, socket } = message as SendHeaders
    // A request that was aborted in onRequestStart is never written; the one after it must not be taken for it.
    // What is written may be more: a forwarding proxy is sent the origin before the path, and `query` comes behind it.
    if (request.method !== next.method || !request.path.includes(next.path)) return
    sender = undefined
    next.onSocket(socket)
  })
}
