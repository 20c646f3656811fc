/** What came of a call, as data: so that two clients can be compared. */
import { isRestError, RestError } from '@azure/core-rest-pipeline'

export async function outcomeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return { value: await call() }
  } catch (error) {
    return describe(error as Error)
  }
}

/** The name, code and status of an error, and what an SDK's user asks of it. */
export function describe(error: Error & { code?: unknown; statusCode?: unknown }): object {
  return {
    name: error.name,
    code: error.code,
    status: error.statusCode,
    isRestError: isRestError(error),
    isInstance: error instanceof RestError,
    // Of services only: those of the network are worded by whoever opens the socket.
    ...(error.name === 'AbortError' ? { message: error.message } : undefined),
  }
}
