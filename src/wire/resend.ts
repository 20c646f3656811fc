/** Whether a request may be sent again after the kept connection it was written to turned out dead. Pure. */
import { Blob } from 'node:buffer'
import type { Dispatcher } from 'undici'
import { idempotent } from '../options/retry.ts'

/**
 * What a connection that the other side has closed gives: reset, broken pipe, undici's "other side closed", and on HTTP/2 a GOAWAY with
 * an error. What a GOAWAY leaves out and a stream that is refused, undici sends again by itself.
 */
const dead: ReadonlySet<string | undefined> = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'ERR_HTTP2_SESSION_ERROR',
])

/** The connection is dead; a limit, an abort or a broken protocol is something else. */
export function isDeadConnection(error: Error): boolean {
  return dead.has((error as NodeJS.ErrnoException).code)
}

/**
 * True if sending it twice is as good as sending it once, and all of it can be sent again. A request that was written as a whole may
 * have been acted on, so its method has to allow that; one that still owes its body has not.
 */
export function canBeSentAgain(opts: Dispatcher.DispatchOptions, bodyBegun: boolean): boolean {
  const { method, body, upgrade, idempotent: declared } = opts
  if (method === 'CONNECT' || (upgrade !== undefined && upgrade !== null && upgrade !== false)) return false
  const isOwing = !bodyBegun && body !== null && body !== undefined && body !== ''
  return (isOwing || (declared ?? idempotent.has(method))) && isWhole(body)
}

/** Not read as it is sent, and gone by then. */
export function isWhole(body: unknown): boolean {
  return (
    body === null ||
    body === undefined ||
    typeof body === 'string' ||
    ArrayBuffer.isView(body) ||
    body instanceof ArrayBuffer ||
    body instanceof Blob
  )
}
