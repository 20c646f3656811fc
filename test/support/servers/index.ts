/** The real servers, by name. */
import { apache } from './apache.ts'
import { caddy } from './caddy.ts'
import { haproxy } from './haproxy.ts'
import { nginx } from './nginx.ts'
import type { Kind } from './server.ts'

export { createRelay, type Relay } from './relay.ts'
export { type Kind, needs, type Server, start } from './server.ts'
export { squid } from './squid.ts'
export { apache, caddy, haproxy, nginx }

/** In front of a service. */
export const reverseProxies: { readonly [name: string]: Kind } = { nginx, haproxy, caddy, apache }
