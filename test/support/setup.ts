/** After every test: nothing was rejected or thrown where nobody looks. */
import { afterEach, expect } from 'vitest'

const unseen: unknown[] = []
process.on('unhandledRejection', (reason) => unseen.push(reason))
process.on('uncaughtException', (error) => unseen.push(error))

afterEach(async () => {
  // Unhandled rejections are reported when the microtasks of their turn are done.
  await new Promise((resolve) => setImmediate(resolve))
  expect(unseen.splice(0)).toEqual([])
})
