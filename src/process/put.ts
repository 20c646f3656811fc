/** One thing of the process that was put on a client of ours. */
import type { ClientStats } from '../wire/stats.ts'

export interface Put {
  readonly stats: { readonly [client: string]: () => ClientStats }
  undo(): void
}
