/** What a server says of the connections it keeps (`Keep-Alive: timeout=5, max=100`), and what that leaves us. Pure. */

/**
 * Milliseconds before the end of a server's hint in which its connection is not used: its clock began to run a trip before ours, and a
 * request takes a trip to get there. A slow way around the world, and less than a third of the shortest hint.
 */
export const margin = 300

/** Of one connection, as of its newest response. */
export interface Keeping {
  field: string | undefined
  /** Milliseconds that it may be idle, if the server said so. */
  idleMs: number | undefined
  /** Requests, as the server counts them. */
  max: number | undefined
  /** The server answers no other request on it. */
  isLast: boolean
}

export const newKeeping = (): Keeping => ({
  field: undefined,
  idleMs: undefined,
  max: undefined,
  isLast: false,
})

const timeoutOf = /(?:^|[,;\s])timeout\s*=\s*"?(\d+)/i
const maxOf = /(?:^|[,;\s])max\s*=\s*"?(\d+)/i

/**
 * Takes the field of the response to the `requests`-th request on the connection. `max` is what is left where it goes down from one
 * response to the next (Apache), and the whole where it does not (Node); what is said first counts as the whole, which is less.
 */
export function noteKeepAlive(keeping: Keeping, field: string | undefined, requests: number): void {
  const before = keeping.max
  // Most say the same every time.
  if (field !== keeping.field) {
    keeping.field = field
    const seconds = numberOf(timeoutOf, field)
    keeping.idleMs = seconds === undefined ? undefined : seconds * 1_000
    keeping.max = numberOf(maxOf, field)
  }
  const { max } = keeping
  const isLeft = before !== undefined && max !== undefined && max < before
  keeping.isLast = max !== undefined && (isLeft ? max === 0 : requests >= max)
}

function numberOf(parameter: RegExp, field: string | undefined): number | undefined {
  const digits = field === undefined ? undefined : parameter.exec(field)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
