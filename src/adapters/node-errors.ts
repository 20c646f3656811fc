/** Failures as node:http and the SDKs on it tell them, because that is what their retries go by. */

/** A signal of the platform, or one of an SDK's own that has less. */
export interface AbortSignalLike {
  readonly aborted: boolean
  readonly reason?: unknown
  onabort?: unknown
  addEventListener?: unknown
  removeEventListener?: unknown
}

/** undici's codes for what has another name in Node; whatever else has a code keeps it. */
const codes: Readonly<Record<string, string>> = {
  UND_ERR_SOCKET: 'ECONNRESET',
  UND_ERR_CONNECT_TIMEOUT: 'ETIMEDOUT',
  UND_ERR_HEADERS_TIMEOUT: 'ETIMEDOUT',
  UND_ERR_BODY_TIMEOUT: 'ETIMEDOUT',
}

/** Node's code for a failure, if it has one. */
export function nodeCode(error: Error): string | undefined {
  const { code } = error as NodeJS.ErrnoException
  return code === undefined ? undefined : (codes[code] ?? code)
}

/** The SDK's handler gives these the name by which it retries. */
const timeouts: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT'])
const details = ['errno', 'syscall', 'address', 'port', 'hostname'] as const

/**
 * A failure of the network with Node's `code`, and the name `TimeoutError` where the SDK's own handler gives it; a new one, since
 * undici tells all requests that wait for one connection with the same. Everything else stays what it is.
 */
export function asNodeError(error: Error): Error {
  const { code: given } = error as NodeJS.ErrnoException
  const code = nodeCode(error)
  if (code === undefined || (code === given && !('syscall' in error) && !('errors' in error))) return error
  const [first] = error instanceof AggregateError ? (error.errors as Error[]) : [error]
  const told = new Error(error.message || first?.message, { cause: error }) as NodeJS.ErrnoException
  told.code = code
  for (const name of details)
    if (first !== undefined && name in first) Object.assign(told, { [name]: (first as never)[name] })
  if (timeouts.has(code)) told.name = 'TimeoutError'
  return told
}

export function timeoutError(limit: number): Error {
  const error = new Error(`No response within the ${limit} ms of requestTimeout`)
  return Object.assign(error, { name: 'TimeoutError', code: 'ETIMEDOUT' })
}

/** As the SDK makes it: a reason in words is the message, any other the cause. */
export function abortError({ reason }: AbortSignalLike): Error {
  const isText = typeof reason === 'string' && reason !== ''
  const error = isText
    ? new Error(reason)
    : new Error('Request aborted', reason ? { cause: reason } : undefined)
  error.name = 'AbortError'
  return error
}

/** Listens until the function it returns is called. */
export function onAbort(signal: AbortSignalLike, listener: () => void): () => void {
  const { addEventListener, removeEventListener } = signal
  if (typeof addEventListener === 'function' && typeof removeEventListener === 'function') {
    addEventListener.call(signal, 'abort', listener)
    return () => removeEventListener.call(signal, 'abort', listener)
  }
  // The SDK's own had no more than this.
  Object.assign(signal, { onabort: listener })
  return () => Object.assign(signal, { onabort: null })
}
