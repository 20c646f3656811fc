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
