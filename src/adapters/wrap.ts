/** wrap: the contract above the Response of any other fetch. */
import { createClient } from '../client.ts'
import type { Fetch } from '../fetch/fetch.ts'
import type { FetchLike, WrapOptions } from '../options.ts'

/**
 * A `fetch` that makes its calls through `fetch` and answers with Responses of ours: small bodies are received ahead, what is given up,
 * forgotten or never touched does not keep its connection. A client with the same option (`createClient({ fetch })`) has statistics.
 * @param fetch any fetch-like. To see mocks that are installed later, bind it late: `wrap((...args) => globalThis.fetch(...args))`
 * @throws InvalidOptionError naming the option, its value and what is accepted; unknown names are refused.
 */
export function wrap(fetch: FetchLike, options?: WrapOptions): Fetch {
  return createClient({ name: 'wrap', ...options, fetch }).fetch
}
