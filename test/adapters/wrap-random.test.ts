/** Whatever stream another fetch answers with, and however it is read: the same bytes or an error, and nothing left behind. */
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createClient } from '../../src/index.ts'
import { pattern } from '../support/shapes.ts'
import { until } from '../support/until.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Body {
  readonly kind: 'web' | 'bytes' | 'node' | 'iterator'
  /** Sizes of its chunks; before each so many turns of the event loop. */
  readonly chunks: readonly { readonly size: number; readonly turns: number }[]
  readonly fails: boolean
  readonly declares: 'length' | 'chunked' | 'coding' | 'nothing'
}

type Step = 'wait' | 'text' | 'bytes' | 'stream' | 'part' | 'clone' | 'cancel' | 'abort' | 'dispose'

const body = fc.record<Body>({
  kind: fc.constantFrom('web', 'bytes', 'node', 'iterator'),
  chunks: fc.array(
    fc.record({ size: fc.oneof(fc.nat({ max: 100 }), fc.nat({ max: 3_000 })), turns: fc.nat({ max: 2 }) }),
    { maxLength: 8 },
  ),
  fails: fc.boolean(),
  declares: fc.constantFrom('length', 'chunked', 'coding', 'nothing'),
})
const steps = fc.array(
  fc.constantFrom<Step>('wait', 'text', 'bytes', 'stream', 'part', 'clone', 'cancel', 'abort', 'dispose'),
  { maxLength: 4 },
)

async function* partsOf({ chunks, fails }: Body, whole: Buffer): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let at = 0
  for (const { size, turns } of chunks) {
    for (let i = 0; i < turns; i++) await turn()
    yield new Uint8Array(whole.subarray(at, (at += size)))
  }
  if (fails) throw new Error('theirs')
}

function streamOf(spec: Body, whole: Buffer): object {
  const parts = partsOf(spec, whole)
  if (spec.kind === 'iterator') return parts
  if (spec.kind === 'node') return Readable.from(parts, { objectMode: false })
  const pull = async (controller: ReadableByteStreamController): Promise<void> => {
    const { done, value } = await parts.next()
    if (done === true) {
      controller.close()
      controller.byobRequest?.respond(0)
    } else if (value.length > 0) controller.enqueue(value)
    // An empty chunk is none, and a stream of bytes refuses it.
    else await pull(controller)
  }
  const source = { pull, cancel: async () => void (await parts.return(undefined)) }
  return spec.kind === 'bytes'
    ? new ReadableStream({ type: 'bytes', ...source })
    : new ReadableStream(source as never)
}

/** What a reader got: a prefix of the body, and whether that was all. */
async function take(response: Response, step: Step, controller: AbortController): Promise<[Buffer, boolean]> {
  const parts: Uint8Array[] = []
  if (step === 'text') return [Buffer.from(await response.text(), 'latin1'), true]
  if (step === 'bytes') return [Buffer.from(await response.bytes()), true]
  if (step === 'wait') await turn()
  if (step === 'stream') {
    for await (const part of response.body ?? []) parts.push(part)
    return [Buffer.concat(parts), true]
  }
  // Not awaited: half of a tee is cancelled only with the other half.
  if (step === 'part') {
    const reader = response.body?.getReader()
    const { value } = (await reader?.read()) ?? {}
    reader?.cancel().catch(() => {})
    return [Buffer.from(value ?? []), false]
  }
  if (step === 'cancel') response.body?.cancel().catch(() => {})
  if (step === 'abort') controller.abort()
  if (step === 'dispose') await (response as unknown as AsyncDisposable)[Symbol.asyncDispose]()
  return [Buffer.alloc(0), false]
}

test('a reader gets the bytes of the other fetch or an error, and every body has one outcome', async () => {
  await fc.assert(
    fc.asyncProperty(body, steps, fc.nat({ max: 4_000 }), async (spec, script, readAhead) => {
      const size = spec.chunks.reduce((sum, chunk) => sum + chunk.size, 0)
      // ASCII, so that text and bytes can be compared.
      const whole = pattern(size).map((byte) => byte & 0x7f) as Buffer
      const headers = new Headers(
        {
          length: { 'content-length': String(size) },
          chunked: { 'transfer-encoding': 'chunked' },
          coding: { 'content-encoding': 'gzip', 'content-length': '3' },
          nothing: {},
        }[spec.declares],
      )
      const client = createClient({
        fetch: async () => ({ status: 200, headers, body: streamOf(spec, Buffer.from(whole)) }),
        drain: { readAhead, maxBytes: 5_000, maxTime: 500 },
      })
      const controller = new AbortController()
      const response = await client.fetch('http://localhost/', { signal: controller.signal })
      const responses: Response[] = [response]
      let isGivenUp = false
      for (const step of script) {
        if (step === 'clone') {
          try {
            responses.push(response.clone())
          } catch (error) {
            expect(response.bodyUsed || response.body?.locked).toBe(true)
            expect(error).toBeInstanceOf(TypeError)
          }
          continue
        }
        const wasUsed = response.bodyUsed
        try {
          const [got, isWhole] = await take(response, step, controller)
          expect(got.equals(whole.subarray(0, got.length))).toBe(true)
          if (isWhole && !wasUsed) {
            // What fails after its last byte was there is whole where that was told by its length.
            expect(spec.fails && spec.declares !== 'length').toBe(false)
            expect(got.length).toBe(size)
          }
        } catch (error) {
          if ((error as Error).name === 'AssertionError') throw error
          // A body that comes whole is read whole by the first who reads it.
          const isRead = step === 'text' || step === 'bytes' || step === 'stream'
          if (isRead && !spec.fails && !wasUsed && !isGivenUp) throw error
        }
        isGivenUp ||= step === 'part' || step === 'cancel' || step === 'abort' || step === 'dispose'
      }
      for (const other of responses.slice(1)) {
        const got = await other.bytes().catch(() => undefined)
        if (got !== undefined) expect(Buffer.from(got).equals(whole)).toBe(true)
      }
      for (const each of responses) {
        if (!each.bodyUsed && !(each.body?.locked ?? false)) each.body?.cancel().catch(() => {})
        else await (each as unknown as AsyncDisposable)[Symbol.asyncDispose]()
      }
      await until(() => client.stats().bodies.open === 0, 'every body has ended')
      const { bodies, bytes, requests, processHeld } = client.stats()
      expect(bodies.read + bodies.drained + bodies.closed).toBe(1)
      expect(requests).toEqual({ waiting: 0, inFlight: 0, resent: 0 })
      expect([bytes.held, processHeld]).toEqual([0, 0])
      await client.close()
    }),
    { numRuns: 500 },
  )
}, 60_000)
