/** `globalThis.fetch` itself. */
import { fetch as drainedFetch } from '../client.ts'
import type { Put } from './put.ts'

export function putFetch(): Put {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'fetch')
  // One parameter that counts, as Node's has.
  const fetch = function fetch(input: string | URL | Request, ...[init]: [init?: RequestInit]) {
    return drainedFetch(input, init)
  }
  // What a runtime or a tool has hung on it.
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(globalThis.fetch))) {
    if (!Object.hasOwn(fetch, name)) Object.defineProperty(fetch, name, property)
  }
  Object.defineProperty(globalThis, 'fetch', {
    value: fetch,
    writable: true,
    enumerable: before?.enumerable ?? true,
    configurable: true,
  })
  return {
    stats: {},
    undo() {
      if (globalThis.fetch === fetch && before !== undefined)
        Object.defineProperty(globalThis, 'fetch', before)
    },
  }
}
