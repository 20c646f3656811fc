/** Options of one service among others: those of its client, and what is routed to it. */
import { InvalidOptionError } from '../errors.ts'
import { check, isObject } from './check.ts'
import { clientChecks, type ClientOptions } from './clients.ts'

/** Options of one service of {@link createServices}: those of its client, and what is routed to it. */
export interface ServiceOptions extends ClientOptions {
  /** Further origins whose URLs go to this service; only scheme, host and port count. @default none but `origin` */
  origins?: readonly (string | URL)[]
}

/** @internal */
export interface ResolvedService {
  readonly client: ClientOptions
  /** The origins that are routed to it, each with the option that says so. */
  readonly claims: readonly (readonly [option: string, origin: string])[]
}

/** @throws InvalidOptionError if it is not an object with an entry for each service */
export function checkServices(services: object): void {
  if (!isObject(services))
    throw new InvalidOptionError(
      'services',
      'services must be a plain object with an entry for each service, its name and its options',
    )
}

/**
 * Options of one service, checked as far as they are not made of others, and what it claims.
 * @throws InvalidOptionError
 */
export function resolveService(options: ServiceOptions): ResolvedService {
  const list = { accepts: 'an array of http: or https: URLs', ok: Array.isArray }
  check('options', options, { ...clientChecks, origins: list })
  const { origins = [], ...client } = options
  const listed = Object.entries(origins)
  // One by one, so that the error names the one that is wrong; `undefined` would pass for an option that is not given.
  const each = Object.fromEntries(listed.map(([at, url]) => [at, (url as string | undefined) ?? null]))
  check('origins', each, Object.fromEntries(listed.map(([at]) => [at, clientChecks.origin])))
  const claims = listed.map(([at, url]): [string, string] => [`origins.${at}`, new URL(url).origin])
  if (client.origin !== undefined) claims.unshift(['origin', new URL(client.origin).origin])
  return { client, claims }
}
