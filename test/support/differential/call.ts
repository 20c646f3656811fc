/** Calls of fetch as plain data, and what becomes of them in a lane: new bodies and objects each time. */
import fc from 'fast-check'
import type { Lane } from '../lanes.ts'
import { headersSpec, type HeadersSpec } from './request-headers.ts'
import { type BodySpec, bodySpec, formSpec, isStream, makeBody } from './request-body.ts'

type Redirect = NonNullable<RequestInit['redirect']>

export interface InitSpec {
  readonly method?: string
  readonly headers?: HeadersSpec
  readonly body?: BodySpec
  readonly redirect?: Redirect
  readonly more: Readonly<Record<string, unknown>>
}

export interface CallSpec {
  readonly path: string
  readonly as: 'string' | 'URL' | 'Request'
  readonly init: InitSpec
  /** A second init, over a Request made of the first. */
  readonly over?: InitSpec
}

/** Pieces that URL parsers treat in different ways. */
const oddPieces = [
  ...'a / // . .. %2e %20 + %zz % ? # &x=y = ;v=1 @ :'.split(' '),
  ...String.raw`\ ' " <> {|} ^ [] ü 日本 😀 %C3%BC ~ * !$()`.split(' '),
  ' ',
  '\t',
  '\u0000',
  '`',
]
const pathPiece = fc.oneof(fc.string({ maxLength: 4, unit: 'grapheme' }), fc.constantFrom(...oddPieces))
/** undici forgets the empty query of `/p?#`, which the standard keeps. */
const path = fc
  .array(pathPiece, { maxLength: 6 })
  .map((pieces) => `/p${pieces.join('')}`.replace(/\?[\t#]*$/, ''))

const method = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS') },
  fc.constantFrom('get', 'Post', 'puT', 'delete', 'head', 'oPTIONS', 'patch', 'Patch', 'QUERY', 'query'),
  fc.constantFrom(
    'X',
    'x-custom',
    "!#$%&'*+-.^_`|~",
    'LINK',
    'M-SEARCH',
    'PROPFIND',
    'TRACE',
    'connect',
    'A B',
    '',
  ),
)

/** Options that should change little or nothing; those that fetch refuses are rare. */
const option = <T>(
  name: string,
  values: readonly T[],
  bad: readonly T[] = [],
): fc.Arbitrary<[string, unknown]> =>
  fc.tuple(
    fc.constant(name),
    bad.length === 0
      ? fc.constantFrom(...values)
      : fc.oneof({ weight: 24, arbitrary: fc.constantFrom(...values) }, fc.constantFrom(...bad)),
  )
/** Of no bytes: it matches empty bodies. */
const sha256 = 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
const more: fc.Arbitrary<Record<string, unknown>> = fc
  .array(
    fc.oneof(
      option('keepalive', [true, false]),
      option('referrer', ['', 'about:client', 'http://127.0.0.1/from', 'https://r.test/x?y#z'], ['http://[']),
      option('referrerPolicy', ['', 'no-referrer', 'unsafe-url', 'origin', 'strict-origin'], ['bad']),
      option('credentials', ['omit', 'include', 'same-origin'], ['bad']),
      option('mode', ['cors', 'cors', 'cors', 'same-origin', 'no-cors'], ['navigate']),
      option('cache', ['default', 'no-store', 'reload', 'no-cache', 'force-cache'], ['only-if-cached']),
      option('priority', ['high', 'low', 'auto'], ['bad']),
      option('integrity', ['', 'x', 'sha256-AAAA', sha256]),
      option('duplex', ['half'], ['full']),
      option('window', [null], ['client']),
      option('signal', [null, undefined]),
      option('unknown', [1]),
    ),
    { maxLength: 3 },
  )
  .map((entries) => Object.fromEntries(entries))

const init = fc
  .record(
    {
      method,
      headers: headersSpec,
      body: bodySpec,
      redirect: fc.constantFrom<Redirect[]>('follow', 'follow', 'follow', 'error', 'manual'),
      more,
    },
    { requiredKeys: ['more'] },
  )
  // Mostly calls that get as far as the server: a method that takes the body, and duplex where it must be.
  .chain((spec) =>
    spec.body === undefined || spec.body.kind === 'none'
      ? fc.constant(spec)
      : fc
          .record({
            plain: fc.nat(19).map((roll) => roll > 0),
            method: fc.constantFrom('POST', 'PUT', 'patch', 'DELETE', 'X'),
          })
          .map(({ plain, method }) =>
            plain
              ? {
                  ...spec,
                  method,
                  more: isStream(spec.body) ? { duplex: 'half', ...spec.more, keepalive: false } : spec.more,
                }
              : spec,
          ),
  ) as fc.Arbitrary<InitSpec>

export const callSpec: fc.Arbitrary<CallSpec> = fc
  .record(
    {
      path,
      as: fc.constantFrom('string' as const, 'string' as const, 'URL' as const, 'Request' as const),
      init,
      over: init,
    },
    { requiredKeys: ['path', 'as', 'init'] },
  )
  .map((spec) => withOneSignal(spec as CallSpec))

/** A signal of the second init would take the place of the one that ends the call. */
function withOneSignal(spec: CallSpec): CallSpec {
  if (spec.as !== 'Request' || spec.over === undefined) return spec
  return { ...spec, over: { ...spec.over, more: without(spec.over.more, ['signal']) } }
}

/**
 * Calls with a Request or FormData, of undici or of Node. What is known of Node's is left out, and so are its headers: the case
 * and order of their names cannot be had from outside.
 */
export const globalCallSpec: fc.Arbitrary<CallSpec> = fc.oneof(
  fc.record({
    path,
    as: fc.constantFrom('string' as const, 'URL' as const),
    init: fc.record({
      method: fc.constantFrom('POST', 'put', 'X'),
      body: formSpec,
      redirect: fc.constantFrom<Redirect>('follow', 'follow', 'error', 'manual'),
      more: fc.constant({}),
    }),
  }),
  fc.record({
    path,
    as: fc.constant('Request' as const),
    init: fc.record({
      method: fc.constantFrom('GET', 'head', 'DELETE', 'POST', 'X'),
      redirect: fc.constantFrom<Redirect>('follow', 'follow', 'error', 'manual'),
      more: fc.constant({}),
    }),
  }),
)

const without = (more: InitSpec['more'], names: readonly string[]): InitSpec['more'] =>
  Object.fromEntries(Object.entries(more).filter(([name]) => !names.includes(name)))

function makeInit(spec: InitSpec, lane: Lane, events: unknown[]): object {
  const { headers, body } = spec
  return {
    ...(spec.method === undefined ? undefined : { method: spec.method }),
    ...(headers === undefined ? undefined : { headers: makeHeaders(headers, lane) }),
    ...(spec.redirect === undefined ? undefined : { redirect: spec.redirect }),
    ...(body === undefined ? undefined : { body: makeBody(body, lane, events) }),
    ...spec.more,
  }
}

function makeHeaders(
  { as, list }: HeadersSpec,
  lane: Lane,
): Headers | HeadersSpec['list'] | Record<string, string> {
  if (as === 'Headers') return new lane.Headers(list)
  return as === 'pairs' ? list : Object.fromEntries(list)
}

/** Fetches as the spec says; `events` gets what happens to the body of the request. */
export async function makeCall(
  spec: CallSpec,
  lane: Lane,
  url: string,
  events: unknown[],
  signal: AbortSignal | undefined,
): Promise<Response> {
  const target = url + spec.path
  const withSignal = (init: object): object => (signal === undefined ? init : { ...init, signal })
  if (spec.as !== 'Request') {
    return lane.fetch(
      spec.as === 'URL' ? new URL(target) : target,
      withSignal(makeInit(spec.init, lane, events)),
    )
  }
  const request = new lane.Request(target, withSignal(makeInit(spec.init, lane, events)))
  return spec.over === undefined
    ? lane.fetch(request)
    : lane.fetch(request, makeInit(spec.over, lane, events))
}
