/** What callers do with a response, as plain data; each step is noted with its outcome and `bodyUsed`. */
import fc from 'fast-check'
import { tellError } from '../lanes.ts'

export const readers = ['text', 'json', 'bytes', 'arrayBuffer', 'blob', 'formData'] as const
type Reader = (typeof readers)[number]

export type Step =
  | Reader
  | 'iterate'
  | 'leave'
  | 'getReader'
  | 'byob'
  | 'cancel'
  | 'clone'
  | 'read clone'
  | 'both'
  | 'abort'
  | 'first chunk'

export interface CallerSpec {
  readonly steps: readonly Step[]
  /** Before the call, in the same turn after it, or when the server has the request. */
  readonly aborts: 'never' | 'before' | 'at once' | 'at the server'
  readonly reason: unknown
}

const reader = fc.constantFrom<Step[]>(...readers)
const steps: fc.Arbitrary<Step[]> = fc.oneof(
  { weight: 4, arbitrary: reader.map((each) => [each]) },
  fc.constantFrom<Step[][]>(
    ['iterate'],
    ['leave', 'text'],
    ['getReader'],
    ['byob'],
    [],
    ['cancel', 'cancel', 'text'],
  ),
  fc.tuple(reader, reader).map((both) => both),
  reader.map((each): Step[] => ['clone', each, 'read clone', 'clone']),
  reader.map((each): Step[] => ['clone', 'read clone', each]),
  fc.constantFrom<Step[][]>(
    ['clone', 'both'],
    ['clone', 'cancel', 'read clone'],
    ['first chunk', 'clone', 'text'],
  ),
  reader.map((each): Step[] => ['abort', each]),
  fc.constantFrom<Step[][]>(['clone', 'abort', 'text', 'read clone'], ['first chunk', 'abort', 'text']),
  reader.map((each): Step[] => [each, 'abort', each]),
)

export const callerSpec: fc.Arbitrary<CallerSpec> = fc.record({
  steps,
  aborts: fc.oneof(
    { weight: 12, arbitrary: fc.constant('never' as const) },
    fc.constantFrom('before' as const, 'at once' as const, 'at the server' as const),
  ),
  reason: fc.constantFrom(undefined, 'text', 7, new Error('mine'), { name: 'AbortError' }),
})

const bytesOf = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Blob) return { type: value.type, size: value.size }
  if (Object.prototype.toString.call(value) !== '[object FormData]') return value
  return [...(value as FormData)].map(([name, each]) =>
    typeof each === 'string' ? [name, each] : [name, each.name, each.type, each.size],
  )
}

async function iterate(response: Response, most = Infinity): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk)
    if (chunks.length >= most) break
  }
  // Where a body is cut into chunks is a matter of timing.
  return most === Infinity ? Buffer.concat(chunks) : Buffer.alloc(0)
}

async function pump(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  const stream = response.body?.getReader()
  for (let next = await stream?.read(); next?.done === false; next = await stream?.read())
    chunks.push(next.value)
  await stream?.closed
  return Buffer.concat(chunks)
}

async function pumpByob(response: Response): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  const stream = response.body?.getReader({ mode: 'byob' })
  for (;;) {
    const next = await stream?.read(new Uint8Array(1_000))
    if (next?.value !== undefined) chunks.push(Buffer.from(next.value))
    if (next?.done !== false) return Buffer.concat(chunks)
  }
}

/** Takes the steps on a response one after another. */
export class Caller {
  readonly log: unknown[] = []
  readonly #response: Response
  readonly #abort: () => void
  #copy: Response | undefined

  constructor(response: Response, abort: () => void) {
    this.#response = response
    this.#abort = abort
  }

  async take(step: Step): Promise<void> {
    const pending = this.#start(step)
    const early = this.#used()
    const outcome = await pending.then(bytesOf, tellError)
    this.log.push([step, outcome, early, this.#used()])
  }

  /** Gives up what is left. */
  async end(): Promise<void> {
    await Promise.allSettled([this.#response.body?.cancel(), this.#copy?.body?.cancel()])
  }

  #used(): unknown {
    return [this.#response.bodyUsed, this.#copy?.bodyUsed, this.#response.body?.locked]
  }

  async #start(step: Step): Promise<unknown> {
    const response = this.#response
    switch (step) {
      case 'iterate':
        return iterate(response)
      case 'leave':
        return iterate(response, 1)
      case 'getReader':
        return pump(response)
      case 'byob':
        return pumpByob(response)
      case 'cancel':
        // Not waited for: of a body with two readers it ends when both have cancelled.
        void response.body?.cancel('enough').then(
          () => this.log.push('cancelled'),
          (error: unknown) => this.log.push(['not cancelled', tellError(error)]),
        )
        return undefined
      case 'clone':
        this.#copy = response.clone()
        return undefined
      case 'read clone':
        return this.#copy?.bytes()
      case 'both':
        return Promise.all([response.text(), this.#copy?.text()])
      case 'abort':
        return this.#abort()
      case 'first chunk': {
        const stream = response.body?.getReader()
        await stream?.read()
        stream?.releaseLock()
        return undefined
      }
      default:
        return response[step]()
    }
  }
}
