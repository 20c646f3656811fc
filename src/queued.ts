/** What our own handlers hear beside undici's events. */
import type { Dispatcher } from 'undici'

/**
 * A handler that can give its request up while that waits for a connection; undici itself offers no way to. The options it is
 * dispatched with are its own: their body is taken away then.
 */
export interface QueueAware {
  /** Before the request has a connection: `controller.abort()` takes it back, and it is never sent. */
  onRequestQueued?(controller: Dispatcher.DispatchController): void
}

/** A handler that hears of the end of a body before its reader has taken it all. */
export interface ArrivalAware {
  /** The rest of the body is held, and its connection is free; `onResponseEnd` follows once it has been handed on. */
  onResponseArrived?(): void
}
