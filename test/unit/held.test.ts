import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeldBytes } from '../../src/wire/held.ts'

test('bytes come out as they went in, however they were cut and whenever they are taken', () => {
  const step = fc.oneof(
    fc.nat(20_000).map((size) => ({ push: size })),
    fc.constant({ shift: true as const }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const held = new HeldBytes()
      const [put, got]: [Buffer[], Buffer[]] = [[], []]
      let counter = 0
      for (const each of steps) {
        if ('push' in each) {
          const chunk = Buffer.alloc(each.push)
          for (let i = 0; i < chunk.length; i++) chunk[i] = counter++ & 0xff
          put.push(Buffer.from(chunk))
          held.push(chunk)
        } else {
          const chunk = held.shift()
          if (chunk !== undefined) got.push(Buffer.from(chunk))
        }
      }
      for (let chunk = held.shift(); chunk !== undefined; chunk = held.shift()) got.push(chunk)
      expect(Buffer.compare(Buffer.concat(got), Buffer.concat(put))).toBe(0)
      expect(held.length).toBe(0)
    }),
  )
})

test('a million one-byte chunks are kept in blocks, not in a million buffers', () => {
  const held = new HeldBytes()
  const read = Buffer.alloc(64 * 1024, 'x')
  for (let i = 0; i < 1_000_000; i++) held.push(read.subarray(i % 1000, (i % 1000) + 1))
  let blocks = 0
  while (held.shift() !== undefined) blocks++
  expect(blocks).toBeLessThan(100)
})
