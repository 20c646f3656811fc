/** The other lane: undici's own fetch on the same dispatcher, for what the short lane does not send exactly; the same Response. */
import {
  type Dispatcher,
  fetch as undiciFetch,
  Headers as UndiciHeaders,
  Request as UndiciRequest,
  type Response as UndiciResponse,
} from 'undici'
import { BodyGivenUpError, type Phase, TimeoutError } from '../errors.ts'
import { redactUrl } from '../events.ts'
import { ResponseBody } from './body.ts'
import { isRequest } from './classes.ts'
import { Deadline } from './deadline.ts'
import type { FetchInit } from './fetch.ts'
import { behind, Gate } from './gate.ts'
import { type UndiciInit, type UndiciInput, withForeignParts } from './globals.ts'
import { newResponse, type OwnedResponse } from './response.ts'
import type { CallOptions } from './short.ts'
import { eitherOf, signalOf } from './signals.ts'

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>

/** Streams of undici's Responses: a Response that is collected cancels its stream, even if somebody holds it. */
const owners = new WeakMap<ReadableStream, object>()

export async function fetchLong(
  dispatcher: Dispatcher,
  input: string | URL | Request,
  init: FetchInit | undefined,
  options: CallOptions,
): Promise<OwnedResponse> {
  const [target, rest] = await withForeignParts(input, init)
  const gate = new Gate(options.decompress, options.trace)
  // undici's fetch listens to it, and does not refer to it.
  gate.signal = rest.signal ?? (isRequest(input) ? signalOf(input) : undefined)
  const complete = { ...rest, dispatcher: behind(gate, dispatcher, options.timeouts) } as UndiciInit
  if (options.headers !== undefined) complete.headers = withDefaults(target, rest, options.headers)
  if (options.timeouts !== undefined) gate.deadline = limit(target, complete, options, gate)
  // With integrity metadata, fetch itself reads the body before it answers.
  if (rest.integrity || (target instanceof UndiciRequest && target.integrity)) gate.open()
  try {
    const response = await undiciFetch(target, complete)
    gate.answered()
    return wrap(response, gate, options.maxResponseSize)
  } catch (error) {
    gate.deadline?.end()
    gate.leaveQueue(new BodyGivenUpError())
    const cause = (error as Error | undefined)?.cause as NodeJS.ErrnoException | undefined
    const most = options.timeouts?.connect ?? Infinity
    if (most === Infinity || cause?.code !== 'UND_ERR_CONNECT_TIMEOUT') throw error
    throw timeoutError('connect', most, target, rest, { cause })
  }
}

function withDefaults(
  target: UndiciInput,
  init: UndiciInit,
  defaults: Readonly<Record<string, string>>,
): UndiciHeaders {
  const given = init.headers ?? (target instanceof UndiciRequest ? target.headers : undefined)
  const headers = new UndiciHeaders(given)
  for (const [name, value] of Object.entries(defaults)) if (!headers.has(name)) headers.set(name, value)
  return headers
}

/** Time limits end a call of undici's as its signal does. */
function limit(
  target: UndiciInput,
  init: UndiciInit,
  { timeouts = {}, since, busy }: CallOptions,
  gate: Gate,
): Deadline {
  const late = new AbortController()
  const given = init.signal ?? (target instanceof UndiciRequest ? target.signal : undefined)
  // What is no signal is for undici to refuse.
  if (given === undefined || given instanceof AbortSignal)
    init.signal = given === undefined ? late.signal : eitherOf(given, late.signal)
  const onLate = (phase: Phase, most: number): void => {
    const pool = phase === 'queue' ? busy(gate.origin) : undefined
    late.abort(timeoutError(phase, most, target, init, { pool }))
  }
  return new Deadline(timeouts, { onLate }, since)
}

function timeoutError(
  phase: Phase,
  most: number,
  target: UndiciInput,
  init: UndiciInit,
  options: ConstructorParameters<typeof TimeoutError>[4],
): TimeoutError {
  const isRequest = target instanceof UndiciRequest
  const method = init.method ?? (isRequest ? target.method : 'GET')
  const url = isRequest ? target.url : String(target)
  return new TimeoutError(phase, most, method, redactUrl(url), options)
}

/** The same stream, in which a read that waits has the time of `timeout.body`. */
function timed(stream: Bytes, deadline: Deadline): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      deadline.enter('body')
      const { done, value } = await reader.read()
      if (!done) {
        deadline.enter(undefined)
        controller.enqueue(value)
        return
      }
      deadline.end()
      controller.close()
      controller.byobRequest?.respond(0)
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

function wrap(response: UndiciResponse, gate: Gate, maxResponseSize: number): OwnedResponse {
  const { status, statusText, url, redirected, type } = response
  // As they came: undici's have been joined, and would be trimmed at the seams.
  const headers = gate.headers ?? (response.headers as unknown as Headers)
  const take = (): ReadableStream<Uint8Array> => {
    gate.open()
    const stream = response.body as Bytes
    owners.set(stream, response)
    return gate.deadline === undefined ? stream : timed(stream, gate.deadline)
  }
  // There should be none (a 205 with a body): it is not waited for.
  if (response.body === null && !gate.hasEnded) gate.abort(new BodyGivenUpError())
  const body = response.body && new ResponseBody({ kind: 'stream', take }, [], maxResponseSize, gate)
  return newResponse({ status, statusText, headers, url, isRedirected: redirected, type }, body)
}
