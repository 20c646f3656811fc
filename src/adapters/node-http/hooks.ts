/** Tells an exchange what becomes of its request and its response. One function for all: a closure for each would cost more than the rest. */
import { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** Who is told. */
export interface Hooked {
  onSocket(socket: Socket): void
  onResponse(response: IncomingMessage): void
  onClose(): void
  /** The request is about to be destroyed. */
  onAbort(): void
  /** From the parser: a chunk, or null at the end. False stops the socket. */
  onPush(chunk: Buffer | null): boolean
  /** The reader asks for more. */
  onRead(size: number): void
  /** Nobody will read the response. */
  onDump(): void
  /** The response is destroyed. */
  onDestroy(): void
}

/** Methods of Node's message that are called by its parser, its reader or its request. */
interface Message {
  push(chunk: Buffer | null): boolean
  _read(size: number): void
  _dump(): void
  _destroy(error: Error | null, done: (error?: Error | null) => void): void
}

/** Node's own methods, under the hooks. */
export const node: Message = IncomingMessage.prototype as unknown as Message

const key = Symbol('drained')
interface Keyed {
  readonly [key]: Hooked
}

/** Call while the request is being made: before anybody else listens to it. */
export function hookRequest(request: ClientRequest, hooked: Hooked): void {
  Object.defineProperty(request, key, { value: hooked })
  Object.defineProperty(request, 'destroy', destroyHook)
  request.on('socket', heardSocket).prependListener('response', heardResponse).on('close', heardClose)
}

export function hookResponse(response: IncomingMessage, hooked: Hooked): void {
  Object.defineProperty(response, key, { value: hooked })
  Object.defineProperties(response, hooks)
}

function heardSocket(this: unknown, socket: Socket): void {
  ;(this as Keyed)[key].onSocket(socket)
}

function heardResponse(this: unknown, response: IncomingMessage): void {
  ;(this as Keyed)[key].onResponse(response)
}

function heardClose(this: unknown): void {
  ;(this as Keyed)[key].onClose()
}

/** All ways to abort a request end there. */
const destroyHook: PropertyDescriptor = hidden(function (
  this: ClientRequest & Keyed,
  error?: Error,
): ClientRequest {
  if (!this.destroyed) this[key].onAbort()
  return ClientRequest.prototype.destroy.call(this, error)
})

/** Not enumerable: what copies a response must not copy these. */
const hooks: PropertyDescriptorMap = {
  push: hidden(function (this: Keyed, chunk: Buffer | null): boolean {
    return this[key].onPush(chunk)
  }),
  _read: hidden(function (this: Keyed, size: number): void {
    this[key].onRead(size)
  }),
  _dump: hidden(function (this: Keyed): void {
    this[key].onDump()
  }),
  _destroy: hidden(function (this: Keyed & Message, error: Error | null, done: () => void): void {
    this[key].onDestroy()
    node._destroy.call(this, error, done)
  }),
}

function hidden(value: unknown): PropertyDescriptor {
  return { value, writable: true, configurable: true }
}
