/** One thing of the process that was put on a client of ours. */
import type { WireStats } from '../wire/stats.ts'

export interface Put {
  readonly stats: { readonly [client: string]: () => WireStats }
  undo(): void
}
