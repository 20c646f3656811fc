/** Request bodies of every kind. */
import { Readable } from 'node:stream'
import fc from 'fast-check'
import type { Lane } from '../lanes.ts'

type Parts = readonly (readonly [name: string, value: string, filename?: string, type?: string])[]

export type BodySpec =
  | { readonly kind: 'none'; readonly value: null | undefined }
  | { readonly kind: 'text' | 'String' | 'object' | 'URLSearchParams'; readonly text: string }
  | {
      readonly kind: 'Buffer' | 'view' | 'DataView' | 'Uint16Array' | 'ArrayBuffer'
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'Blob' | 'File'; readonly bytes: Uint8Array; readonly type: string }
  | { readonly kind: 'FormData'; readonly parts: Parts }
  | StreamSpec

interface StreamSpec {
  readonly kind: 'ReadableStream' | 'byte stream' | 'async iterable' | 'Readable'
  readonly chunks: readonly Uint8Array[]
  readonly failsAfter: number | undefined
}

export const isStream = (spec: BodySpec | undefined): boolean => spec !== undefined && 'chunks' in spec

const text = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    '{"a":1}',
    'ü',
    '日本語 😀',
    '\ufeffbom',
    '\ud800 lone',
    'a\r\nb\nc',
    '\u0000',
    'a=b&c=%20+',
  ),
  fc.string({ maxLength: 20, unit: 'binary' }),
  fc.constantFrom('x'.repeat(70_000)),
)
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(new Uint8Array(0), new Uint8Array(70_000).fill(7)),
)
const type = fc.constantFrom('', '', 'text/plain', 'Text/HTML;Charset=UTF-8', 'bad\u00e9type', 'a/b;c="d"')
const part = fc.oneof(
  fc.tuple(fc.constantFrom('a', '', 'n"q\r\n', 'ü', '%0A'), text),
  fc.tuple(
    fc.constantFrom('f', 'f', 'ü'),
    text,
    fc.constantFrom('a.txt', '', 'q"\n.bin', '日本.png', 'blob'),
    fc.constantFrom('', 'image/png', 'text/plain;charset=utf-8'),
  ),
)

export const formSpec = fc.record({
  kind: fc.constant('FormData' as const),
  parts: fc.array(part, { maxLength: 4 }),
})

export const bodySpec: fc.Arbitrary<BodySpec> = fc.oneof(
  fc.record({ kind: fc.constant('none' as const), value: fc.constantFrom(null, undefined) }),
  fc.record({ kind: fc.constantFrom('text', 'text', 'String', 'object', 'URLSearchParams'), text }),
  fc.record({ kind: fc.constantFrom('Buffer', 'view', 'DataView', 'Uint16Array', 'ArrayBuffer'), bytes }),
  fc.record({ kind: fc.constantFrom('Blob', 'File'), bytes, type }),
  formSpec,
  fc.record({
    kind: fc.constantFrom('ReadableStream', 'byte stream', 'async iterable', 'Readable'),
    chunks: fc.array(bytes, { maxLength: 4 }),
    // Rarely, and after what has been sent.
    failsAfter: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, fc.nat(3)),
  }),
) as fc.Arbitrary<BodySpec>

/** The body itself; what happens to a stream is noted in `events`. */
export function makeBody(spec: BodySpec, lane: Lane, events: unknown[]): unknown {
  switch (spec.kind) {
    case 'none':
      return spec.value
    case 'text':
      return spec.text
    case 'String':
      return Object(spec.text)
    case 'object':
      return { toString: () => spec.text }
    case 'URLSearchParams':
      return new URLSearchParams(spec.text)
    case 'Blob':
      return new Blob([spec.bytes], { type: spec.type })
    case 'File':
      return new File([spec.bytes], 'a.bin', { type: spec.type })
    case 'FormData':
      return makeForm(spec.parts, lane)
    case 'ReadableStream':
    case 'byte stream':
    case 'async iterable':
    case 'Readable':
      return makeStream(spec, events)
    default:
      return makeBinary(spec.kind, spec.bytes)
  }
}

function makeBinary(kind: string, bytes: Uint8Array): unknown {
  // An offset and bytes behind the end, so that whoever takes the whole buffer is found out.
  const around = new Uint8Array(bytes.length + 8).fill(0x2a)
  around.set(bytes, 4)
  if (kind === 'Buffer') return Buffer.from(bytes)
  if (kind === 'view') return around.subarray(4, 4 + bytes.length)
  if (kind === 'DataView') return new DataView(around.buffer, 4, bytes.length)
  if (kind === 'Uint16Array') return new Uint16Array(around.buffer, 4, bytes.length >> 1)
  return new Uint8Array(bytes).buffer
}

function makeForm(parts: Parts, lane: Lane): FormData {
  const form = new lane.FormData()
  for (const [name, value, filename, type] of parts) {
    if (filename === undefined) form.append(name, value)
    else form.append(name, new Blob([value], { type: type ?? '' }), filename)
  }
  return form
}

function makeStream({ kind, chunks, failsAfter }: StreamSpec, events: unknown[]): unknown {
  async function* generate(): AsyncGenerator<Uint8Array> {
    for (const [i, chunk] of chunks.entries()) {
      if (i === failsAfter) throw new RangeError('the source failed')
      // A copy: byte streams take the buffer away from its owner.
      yield new Uint8Array(chunk)
    }
    if (failsAfter !== undefined) throw new RangeError('the source failed')
  }
  if (kind === 'async iterable') return { [Symbol.asyncIterator]: generate }
  if (kind === 'Readable') return Readable.from(generate(), { objectMode: false })
  const source = generate()
  const isBytes = kind === 'byte stream'
  const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
    const { done, value } = await source.next()
    if (done === true) controller.close()
    // A byte stream refuses empty chunks.
    else if (isBytes && value.length === 0) await pull(controller)
    else controller.enqueue(value)
  }
  const cancel = (reason: unknown): void => void events.push(['request body cancelled', reason])
  return new ReadableStream({ ...(isBytes ? { type: 'bytes' } : undefined), pull, cancel } as object)
}
