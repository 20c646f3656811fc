/** The same call through undici's fetch and through a client's: what both must give, told in plain data that can be compared. */
import { once } from 'node:events'
import { expect, test } from 'vitest'
import * as undici from 'undici'
import { testClient } from './client.ts'
import { tls } from './h2.ts'
import { createHttp2Recorder } from './recorder-h2.ts'
import { createRecorder, type Fields, type Recorded, type Recorder, type Script } from './recorder.ts'

type Fetch = (input: string | URL | Request, init?: RequestInit | object) => Promise<Response>

/** Classes that have one copy in Node and another in undici. */
interface Classes {
  readonly Request: typeof Request
  readonly FormData: typeof FormData
  readonly Headers: typeof Headers
}

export interface Lane extends AsyncDisposable, Classes {
  readonly name: string
  readonly fetch: Fetch
}

const { Request, FormData, Headers } = undici
const ofUndici = { Request, FormData, Headers } as unknown as Classes
const ofNode = {
  Request: globalThis.Request,
  FormData: globalThis.FormData,
  Headers: globalThis.Headers,
} as unknown as Classes

export function undiciLane(): Lane {
  const before = undici.getGlobalDispatcher()
  const agent = new undici.Agent({ allowH2: true, connect: { ca: tls.cert } })
  // Not as an option of the call: the mere presence of an init changes what fetch does to a Request.
  undici.setGlobalDispatcher(agent)
  return {
    ...ofUndici,
    name: 'undici.fetch',
    fetch: undici.fetch as unknown as Fetch,
    async [Symbol.asyncDispose]() {
      undici.setGlobalDispatcher(before)
      await agent.destroy()
    },
  }
}

export function clientLane(classes: 'undici' | 'Node' = 'undici'): Lane {
  const client = testClient({ tls: { ca: tls.cert }, drain: { maxTime: 200 } })
  return {
    ...(classes === 'undici' ? ofUndici : ofNode),
    name: `client.fetch, classes of ${classes}`,
    fetch: client.fetch,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

/** undici's own fetch on the client's dispatcher: a window of null changes nothing, but is not for the short lane. */
function longLane(): Lane {
  const lane = clientLane()
  return {
    ...lane,
    name: 'client.fetch, long lane',
    fetch: (input, init) => {
      // The mere presence of an init changes what fetch does to a Request.
      const isBare = init === undefined || Object.keys(init).length === 0
      return lane.fetch(input, isBare && typeof input !== 'string' ? init : { ...init, window: null })
    },
    [Symbol.asyncDispose]: () => lane[Symbol.asyncDispose](),
  }
}

export const lanes = {
  undici: undiciLane,
  client: clientLane,
  long: longLane,
  globals: () => clientLane('Node'),
} satisfies Record<string, () => Lane>

/** What a scenario may use. */
export interface Scene extends Lane {
  /** The origin it talks to. */
  readonly url: string
  /** Another origin, with the same script. */
  readonly other: string
  /** Requests to both, in the order they came. */
  readonly seen: readonly Recorded[]
  /** Sets the script of both. */
  readonly answers: (script: Script) => void
  /** Fetches and tells the response or the error. */
  readonly tells: (input: string | URL | Request, init?: RequestInit | object) => Promise<unknown>
}

export interface FactOptions {
  /** Over HTTP/2, too, or there only. */
  readonly h2?: boolean | 'only'
  /** Also with Node's own Request, FormData and Headers. */
  readonly globals?: boolean
}

type Protocol = 'HTTP/1.1' | 'HTTP/2'
const h1: Protocol[] = ['HTTP/1.1']
const h2: Protocol[] = ['HTTP/2']

/** A test that a scenario has this outcome on undici's fetch and on ours. */
export function fact(
  name: string,
  scenario: (scene: Scene) => unknown,
  expected: unknown,
  options: FactOptions = {},
): void {
  const protocols = options.h2 === 'only' ? h2 : options.h2 === true ? [...h1, ...h2] : h1
  const names = ['undici', 'client', ...(options.globals === true ? (['globals'] as const) : [])] as const
  for (const protocol of protocols) {
    for (const lane of names) {
      test(`${name} [${lane}, ${protocol}]`, async () => {
        expect(await play(lane, protocol, scenario)).toEqual(expected)
      })
    }
  }
}

/** A test that a scenario has the same outcome on both, where the standard leaves it open or undici goes its own way. */
export function same(name: string, scenario: (scene: Scene) => unknown): void {
  test(name, async () => {
    const expected = await play('undici', 'HTTP/1.1', scenario)
    expect(await play('client', 'HTTP/1.1', scenario)).toEqual(expected)
  })
}

export async function play(
  name: keyof typeof lanes,
  protocol: Protocol,
  scenario: (scene: Scene) => unknown,
): Promise<unknown> {
  const create = protocol === 'HTTP/2' ? createHttp2Recorder : createRecorder
  await using first = await create()
  await using second = await create()
  await using lane = lanes[name]()
  const seen: Recorded[] = []
  const use = (recorder: Recorder, script: Script): void => {
    recorder.script = (request, reply) => {
      seen.push(request)
      return script(request, reply)
    }
  }
  use(first, first.script)
  use(second, second.script)
  const outcome = await scenario({
    ...lane,
    url: first.url,
    other: second.url,
    seen,
    answers(script) {
      use(first, script)
      use(second, script)
    },
    tells: (input, init) => lane.fetch(input, init).then(tellResponse, tellError),
  })
  return normalised(outcome, [first.port, second.port])
}

/** Everything of a response but its body. */
export function tellResponse(response: Response): Record<string, unknown> {
  const { status, statusText, ok, url, redirected, type, headers, bodyUsed } = response
  return {
    status,
    statusText,
    ok,
    url,
    redirected,
    type,
    headers: [...headers],
    cookies: headers.getSetCookie(),
    bodyUsed,
    hasBody: response.body !== null,
  }
}

/** What a caller can tell errors apart by; the cause of a cause is left out. */
export function tellError(error: unknown): unknown {
  if (!(error instanceof Error)) return { thrown: error }
  const { cause } = error
  return cause === undefined ? look(error) : { ...look(error), cause: look(cause) }
}

function look(error: unknown): object {
  if (!(error instanceof Error)) return { thrown: error }
  const { name, message, code } = error as Error & { code?: unknown }
  return { class: error.constructor.name, name, message, ...(code === undefined ? undefined : { code }) }
}

/** The outcome of a promise. */
export const tell = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then((value) => ({ value }), tellError)

/** The lines of one header field of a request. */
export function fieldOf(request: Recorded | undefined, wanted: string): string[] {
  const fields: Fields = request?.headers ?? []
  return fields.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value)
}

/** Ports as `a` and `b`, boundaries without their random part, bytes as text. */
export function normalised(value: unknown, ports: readonly [number, number]): unknown {
  const text = (each: string): string =>
    each
      .replaceAll(`:${ports[0]}`, ':a')
      .replaceAll(`:${ports[1]}`, ':b')
      .replaceAll(/formdata-undici-0\d+/g, 'formdata-undici-0')
  const walk = (each: unknown): unknown => {
    if (typeof each === 'string') return text(each)
    if (each instanceof ArrayBuffer) return { buffer: text(Buffer.from(each).toString('latin1')) }
    if (each instanceof Uint8Array) return { bytes: text(Buffer.from(each).toString('latin1')) }
    if (Array.isArray(each)) return each.map(walk)
    if (typeof each !== 'object' || each === null) return each
    return Object.fromEntries(Object.entries(each).map(([key, inner]) => [key, walk(inner)]))
  }
  return walk(value)
}

/** Resolves when the signal aborts. */
export const aborted = async (signal: AbortSignal): Promise<void> =>
  signal.aborted ? undefined : void (await once(signal, 'abort'))
