/** Clients that see a mock of the global fetch, however it is installed, made before there is any. */
import { createClient, type Fetch, wrap } from '../../../src/index.ts'

export const lateBound: Record<string, Fetch> = {
  wrap: wrap((...args) => globalThis.fetch(...args)),
  'createClient({ fetch })': createClient({ fetch: (...args) => globalThis.fetch(...args) }).fetch,
}

/** Nobody listens there: what answers is the mock. */
export const url = 'http://mocked.invalid/items'
