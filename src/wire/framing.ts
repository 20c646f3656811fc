/** What the head of a response says of its body: how long it is, and whether its connection can live on. Pure. */
import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { willBeReused } from './internals.ts'

/** The part of a response known when its body begins. */
export interface ResponseHead {
  readonly method: string
  readonly status: number
  readonly headers: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseEnd']>>[1]
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value
}

/** True where the message ends with its head, whatever it declares (RFC 9112, 6.3). */
function hasNoBody({ method, status }: ResponseHead): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/** Bytes the body will have, 0 where there is none, undefined if not declared (chunked, or until the connection closes). */
export function announcedLength(head: ResponseHead): number | undefined {
  if (hasNoBody(head)) return 0
  if (head.headers['transfer-encoding'] !== undefined) return undefined
  const declared = text(head.headers['content-length'])
  // The parser has refused what is not digits; beyond 2^53 the number is inexact, and only its size matters.
  return declared === undefined ? undefined : Number(declared)
}

/** `text/event-stream` has no end. */
export function isEventStream(headers: ResponseHead['headers']): boolean {
  return /^\s*text\/event-stream\b/i.test(text(headers['content-type']) ?? '')
}

/** True if the connection can carry another request once this body has ended (RFC 9112, 9.3). */
export function canBeReused(head: ResponseHead, socket: Socket | undefined): boolean {
  // The server has said that it is not the one for this request, which is asked again on another connection (RFC 9110, 15.5.20).
  if (head.status === 421) return false
  const known = socket === undefined ? undefined : willBeReused(socket)
  if (known !== undefined) return known
  const { headers } = head
  if (/(^|,)\s*close\s*(,|$)/i.test(text(headers['connection']) ?? '')) return false
  return (
    hasNoBody(head) || headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
  )
}

/** Bytes that the chunk framing of HTTP/1.1 adds to a chunk of this length (RFC 9112, 7.1). */
export function chunkOverhead(length: number): number {
  return length.toString(16).length + 4
}
