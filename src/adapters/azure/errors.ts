/** Failures as Azure SDKs know them: `RestError` with a code of Node's, which their retry policies look at, and `AbortError`. */
import { nodeCode } from '../node-errors.ts'

/** What the SDK's own client throws, word for word: programs compare it. */
export const aborted = {
  before: 'The operation was aborted. Request has already been canceled.',
  during: 'The operation was aborted. Rejecting from abort signal callback while making request.',
  after: 'The operation was aborted.',
} as const

/** Azure SDKs tell it by its name, since each of their packages has a class of its own. */
export class AbortError extends Error {
  override readonly name = 'AbortError'
}

interface RestErrorOptions {
  readonly code: string
  readonly request: object
}
type RestErrorClass = new (message: string, options: RestErrorOptions) => Error

/** Stands in where `@azure/core-rest-pipeline` cannot be found from here: `isRestError` tells it by its name. */
class PlainRestError extends Error {
  override readonly name = 'RestError'
  readonly code: string
  declare readonly request: object

  constructor(message: string, { code, request }: RestErrorOptions) {
    super(message)
    this.code = code
    // Not enumerable: the request has credentials in it.
    Object.defineProperty(this, 'request', { value: request, enumerable: false })
    Object.defineProperty(this, 'response', { value: undefined, enumerable: false })
  }
}

let found: Promise<RestErrorClass> | undefined

/** Looked for when the first request fails, and not before: nothing of Azure is loaded by this library otherwise. */
function restErrorClass(): Promise<RestErrorClass> {
  found ??= import('@azure/core-rest-pipeline').then(
    ({ RestError }) => RestError as unknown as RestErrorClass,
    () => PlainRestError as unknown as RestErrorClass,
  )
  return found
}

async function restError(message: string, code: string, request: object, cause: Error): Promise<Error> {
  const RestError = await restErrorClass()
  const error = new RestError(message, { code, request })
  return Object.defineProperty(error, 'cause', { value: cause, writable: true, configurable: true })
}

/** A request that failed before its response. */
export function sendError(error: Error, request: object): Promise<Error> | Error {
  if (error.name === 'AbortError') return error
  const code = nodeCode(error) ?? 'REQUEST_SEND_ERROR'
  // Of several addresses that all failed, the error has a code and no message.
  return restError(error.message || code, code, request, error)
}

/** A body to be returned as text that did not come whole or cannot be decoded. */
export function textError(error: Error, request: object): Promise<Error> | Error {
  if (error.name === 'AbortError') return error
  return restError(`Error reading response as text: ${error.message}`, 'PARSE_ERROR', request, error)
}

/** A body that broke off: Node says `aborted` whatever happened, and a retry policy finds no code in that. */
export function bodyError(error: Error): Error {
  const code = nodeCode(error)
  if (code === (error as NodeJS.ErrnoException).code && code !== 'ECONNRESET') return error
  const message = code === 'ECONNRESET' ? 'aborted' : error.message
  return Object.assign(new Error(message, { cause: error }), { code })
}
