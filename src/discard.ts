/** discard: ends any body within bounds, now, whoever made it. Never rejects, never waits past `maxTime`. */
import type { Readable } from 'node:stream'
import { BodyGivenUpError } from './errors.ts'
import { responseBody } from './fetch/response.ts'
import { type DrainOptions, resolveDrain } from './options.ts'

/** What {@link discard} did. */
export interface Discarded {
  /**
   * `read`: nothing was left to do. `drained`: the rest was read and dropped. `closed`: it was longer or slower than allowed, or had
   * failed, and was cancelled or destroyed. `locked`: somebody else holds the only handle of this stream, and it was left to them.
   * `unknown`: the argument has no body.
   */
  readonly outcome: 'read' | 'drained' | 'closed' | 'locked' | 'unknown'
  /** Bytes read and dropped. */
  readonly bytes: number
  /** Milliseconds it took. */
  readonly ms: number
}

type Ending = Pick<Discarded, 'outcome' | 'bytes'>
type Bounds = Pick<Required<DrainOptions>, 'maxBytes' | 'maxTime'>

/**
 * Ends a body: a Response of any fetch, an IncomingMessage, a body of `undici.request`, a web or Node stream; read or not,
 * locked or not, cloned or not. Up to `maxBytes` are read and dropped for up to `maxTime` to keep the connection.
 * @param body what to end; `undefined` and `null` are fine
 * @param bounds default: `drain.maxBytes` (1 MiB) and `drain.maxTime` (2 s)
 * @throws InvalidOptionError for bad bounds only, at once
 */
export function discard(body: unknown, bounds: Partial<Bounds> = {}): Promise<Discarded> {
  const { maxBytes, maxTime } = resolveDrain(bounds, 'bounds')
  const started = performance.now()
  return end(body, { maxBytes, maxTime })
    .catch((): Ending => ({ outcome: 'closed', bytes: 0 }))
    .then((ending) => ({ ...ending, ms: performance.now() - started }))
}

async function end(body: unknown, bounds: Bounds): Promise<Ending> {
  if (body === null || body === undefined) return { outcome: 'read', bytes: 0 }
  if (isWebStream(body)) return endWeb(body, bounds)
  if (isNodeStream(body)) return endNode(body, bounds)
  if (typeof body !== 'object' || !('body' in body)) return { outcome: 'unknown', bytes: 0 }
  const own = responseBody(body)
  const inner: unknown = body.body
  if (own && isWebStream(inner) && inner.locked) {
    if (own.hasEnded) return { outcome: 'read', bytes: 0 }
    own.giveUp(new BodyGivenUpError())
    return { outcome: 'closed', bytes: 0 }
  }
  return end(inner, bounds)
}

function isWebStream(value: unknown): value is ReadableStream<Uint8Array> {
  return (
    typeof value === 'object' && value !== null && typeof (value as ReadableStream).getReader === 'function'
  )
}

function isNodeStream(value: unknown): value is Readable {
  const stream = value as Readable | null
  return (
    typeof stream === 'object' && typeof stream?.on === 'function' && typeof stream.destroy === 'function'
  )
}

async function endWeb(stream: ReadableStream<Uint8Array>, { maxBytes, maxTime }: Bounds): Promise<Ending> {
  if (stream.locked) return { outcome: 'locked', bytes: 0 }
  const reader = stream.getReader()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, maxTime, 'late').unref()
  })
  let bytes = 0
  try {
    while (bytes <= maxBytes) {
      const next = await Promise.race([reader.read(), late])
      if (next === 'late') break
      if (next.done) return { outcome: bytes === 0 ? 'read' : 'drained', bytes }
      bytes += next.value.byteLength
    }
    // Not awaited: of a cloned response it settles only when the other branch ends.
    reader.cancel(new BodyGivenUpError()).catch(() => {})
    return { outcome: 'closed', bytes }
  } catch {
    return { outcome: 'closed', bytes }
  } finally {
    clearTimeout(timer)
  }
}

function endNode(stream: Readable, { maxBytes, maxTime }: Bounds): Promise<Ending> {
  // A destroyed or finished stream emits nothing more.
  if (stream.destroyed || stream.readableEnded) return Promise.resolve({ outcome: 'read', bytes: 0 })
  return new Promise((resolve) => {
    let bytes = 0
    const settle = (outcome: Discarded['outcome']): void => {
      clearTimeout(timer)
      stream.off('data', onData).off('end', onEnd).off('close', onClose)
      if (outcome === 'closed') stream.destroy()
      resolve({ outcome, bytes })
    }
    const onData = (chunk: Uint8Array | string): void => {
      bytes += chunk.length
      if (bytes > maxBytes) settle('closed')
    }
    const onEnd = (): void => settle(bytes === 0 ? 'read' : 'drained')
    const onClose = (): void => settle('closed')
    const timer = setTimeout(settle, maxTime, 'closed').unref()
    // Stays: an error after this belongs to nobody else.
    stream.on('error', () => {})
    stream.on('data', onData).on('end', onEnd).on('close', onClose)
    stream.resume()
  })
}
