/** The body of a request that was never on the wire. */

/** Ends a stream nobody is going to read, and with it whatever is open for it, as undici does once a request is on the wire. */
export function closeUnsent(body: unknown): void {
  if (body instanceof ReadableStream) void body.cancel().catch(() => {})
  else (body as { destroy?: () => void } | null | undefined)?.destroy?.()
}
