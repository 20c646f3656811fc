/** After every test: nothing was rejected or thrown where nobody looks. After every file: no body was forgotten. */
import { afterAll, afterEach, expect } from 'vitest'
import { forgotten } from './forgotten.ts'

const unseen: unknown[] = []
process.on('unhandledRejection', (reason) => unseen.push(reason))
process.on('uncaughtException', (error) => unseen.push(error))

afterEach(async () => {
  // Unhandled rejections are reported when the microtasks of their turn are done.
  await new Promise((resolve) => setImmediate(resolve))
  expect(unseen.splice(0)).toEqual([])
})

afterAll(async () => {
  expect(await forgotten()).toEqual([])
})
