/** One call: undici's own fetch on our dispatcher, answering with a Response that tells when it is touched. */
import {
  type Dispatcher,
  fetch as undiciFetch,
  Request as UndiciRequest,
  Response as UndiciResponse,
} from 'undici'
import { behind, Gate } from './gate.ts'
import { type UndiciInit, type UndiciInput, withForeignParts } from './globals.ts'

/** `fetch`'s init, and the dispatcher of a single call. */
export type FetchInit = Omit<RequestInit, 'dispatcher'> & {
  /** Sends this call through an undici dispatcher of yours; the contract holds on it as well. */
  dispatcher?: Dispatcher
}

/**
 * The type of `globalThis.fetch`, with our options in `init`. The caller owns the Response: read it, cancel it or forget it.
 * @throws TypeError `fetch failed` with the network's error as `cause`; the signal's own reason when aborted
 */
export type Fetch = (input: string | URL | Request, init?: FetchInit) => Promise<Response>

/** What a client adds to every call. */
export interface CallDefaults {
  /** Base for relative URLs. */
  readonly origin: string | URL | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
}

const gates = new WeakMap<object, Gate>()

/** undici's Response, in which every way to the body opens the gate first. */
const touchable: object = Object.create(UndiciResponse.prototype)
for (const name of [
  'body',
  'arrayBuffer',
  'blob',
  'bytes',
  'clone',
  'formData',
  'json',
  'text',
  'textStream',
]) {
  const original = Object.getOwnPropertyDescriptor(UndiciResponse.prototype, name)
  if (original === undefined) continue
  const key = original.get === undefined ? 'value' : 'get'
  const method = original[key] as (this: object, ...args: unknown[]) => unknown
  const touching = {
    [name](this: object, ...args: unknown[]): unknown {
      gates.get(this)?.open()
      return method.apply(this, args)
    },
  }[name]
  Object.defineProperty(touchable, name, { ...original, [key]: touching })
}

/** The gate of a Response of ours: the one way to end a body that somebody has locked. */
export function gateOf(response: object): Gate | undefined {
  return gates.get(response)
}

/** undici's fetch; the body of the answer is not pulled at until somebody touches it. */
export async function fetchOn(
  dispatcher: Dispatcher,
  input: Parameters<Fetch>[0],
  init: FetchInit | undefined,
  defaults: CallDefaults,
): Promise<Response> {
  const gate = new Gate()
  let [target, rest] = await withForeignParts(atOrigin(input, defaults.origin), init)
  if (defaults.headers !== undefined) [target, rest] = [withHeaders(target, rest, defaults.headers), {}]
  // With integrity metadata, fetch itself reads the body before it answers.
  if (rest.integrity || (target instanceof UndiciRequest && target.integrity)) gate.open()
  const response = await undiciFetch(target, { ...rest, dispatcher: behind(gate, dispatcher) })
  Object.setPrototypeOf(response, touchable)
  gates.set(response, gate)
  return response
}

/** A relative URL resolved against the client's origin; everything else, bad URLs included, is left to fetch. */
function atOrigin(input: Parameters<Fetch>[0], origin: string | URL | undefined): Parameters<Fetch>[0] {
  if (origin === undefined || typeof input !== 'string') return input
  return URL.parse(input, String(origin)) ?? input
}

function withHeaders(
  input: UndiciInput,
  init: UndiciInit,
  headers: Readonly<Record<string, string>>,
): UndiciRequest {
  const request = new UndiciRequest(input, init)
  for (const [name, value] of Object.entries(headers)) {
    if (!request.headers.has(name)) request.headers.set(name, value)
  }
  return request
}
