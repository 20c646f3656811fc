/** Response headers behave as the SDK's own, whatever is done to them, in both of their shapes. */
import { createHttpHeaders } from '@azure/core-rest-pipeline'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ResponseHeaders } from '../../../src/adapters/azure/headers.ts'

const name = fc.constantFrom('a', 'A', 'x-list', 'X-List', 'etag', 'ETag', '__proto__', 'constructor')
const text = fc.string({ unit: fc.constantFrom('a', 'B', ' ', '\r', '\n', ','), maxLength: 5 })
const operation = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), name, value: fc.oneof(text, fc.integer(), fc.boolean()) }),
  fc.record({ kind: fc.constantFrom('get' as const, 'has' as const, 'delete' as const), name }),
)
const shown = (value: object): unknown[] => Object.entries(value)

test('any sequence of operations leaves what it leaves in the headers of the SDK', () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.constantFrom('a', 'x-list', 'etag'),
        fc.string({ minLength: 1 }).map((each) => each.trim()),
      ),
      fc.array(operation, { maxLength: 12 }),
      (initial, operations) => {
        const ours = new ResponseHeaders(initial)
        // An empty one is left out by whoever fills them.
        const theirs = createHttpHeaders(
          Object.fromEntries(Object.entries(initial).filter(([, value]) => value !== '')),
        )
        for (const each of operations) {
          if (each.kind === 'set') {
            ours.set(each.name, each.value)
            theirs.set(each.name, each.value)
          } else {
            expect(ours[each.kind](each.name)).toEqual(theirs[each.kind](each.name))
          }
        }
        expect([...ours]).toEqual([...theirs])
        for (const preserveCase of [true, false]) {
          expect(shown(ours.toJSON({ preserveCase }))).toEqual(shown(theirs.toJSON({ preserveCase })))
          expect(shown(ours.toJson({ preserveCase }))).toEqual(shown(theirs.toJSON({ preserveCase })))
        }
        expect(String(ours)).toBe(String(theirs as object))
        expect([...ours.clone()]).toEqual([...ours])
        expect(ours.headersArray().map((each) => [each.name, each.value])).toEqual([...ours])
        expect([ours.headerNames(), ours.headerValues()]).toEqual([
          [...ours].map(([each]) => each),
          [...ours].map(([, value]) => value),
        ])
        expect([ours.contains('ETAG'), ours.remove('ETAG'), ours.contains('etag')]).toEqual([
          theirs.has('etag'),
          theirs.has('etag'),
          false,
        ])
      },
    ),
  )
})

test('headers that came more than once are joined, or the first is kept, as Node does it', () => {
  const headers = new ResponseHeaders({
    'x-list': ['a', 'b'],
    etag: ['"1"', '"2"'],
    'set-cookie': ['a=1', 'b=2'],
    cookie: ['a=1', 'b=2'],
    'x-empty': '',
    'x-none': undefined,
  })
  expect(headers.toJSON()).toEqual({ 'x-list': 'a, b', etag: '"1"', 'set-cookie': 'a=1', cookie: 'a=1; b=2' })
})
