/** How long a server asks to be left alone: `Retry-After` and its kin, as milliseconds from now. Pure. */

/** What is more than so many seconds is a time of day, not a wait: thirty years. */
const leastEpoch = 1_000_000_000

/**
 * @param now milliseconds since 1970, for times of day without a `Date` header beside them
 * @returns milliseconds, 0 or more; undefined if the server says nothing that can be understood
 */
export function retryAfter(headers: Headers, status: number, now: number): number | undefined {
  const ms = number(headers.get('retry-after-ms')) ?? number(headers.get('x-ms-retry-after-ms'))
  if (ms !== undefined) return ms
  // The server's clock is what its times of day are told by.
  const date = Date.parse(headers.get('date') ?? '')
  const clock = Number.isNaN(date) ? now : date
  const given = headers.get('retry-after')
  if (given !== null) {
    const seconds = number(given)
    if (seconds !== undefined) return seconds * 1_000
    const at = httpDate(given)
    if (at !== undefined) return Math.max(0, at - clock)
  }
  // Sent with every answer by those who send it; only of a refused call does it say when to come back.
  if (status !== 429 && status !== 503) return undefined
  const reset = number(headers.get('ratelimit-reset'))
  if (reset === undefined) return undefined
  return reset < leastEpoch ? reset * 1_000 : Math.max(0, reset * 1_000 - clock)
}

/** Digits, perhaps with a fraction: not what `Number` makes of white space, hexadecimals or a sign. */
function number(text: string | null): number | undefined {
  return text !== null && /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined
}

/** RFC 9110, 5.6.7, in any of its three forms; not what else `Date.parse` can make sense of. */
function httpDate(text: string): number | undefined {
  if (!/^(Mon|Tues?|Wed(nes)?|Thu(rs)?|Fri|Sat(ur)?|Sun)(day)?,? /.test(text)) return undefined
  // The form of C's asctime() has no zone, and means GMT.
  const at = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(at) ? undefined : at
}
