/** createServices: named clients, each with a pool of its own, and one fetch that sends a URL to the client its origin belongs to. */
import { type Client, type ClientStats, createClient } from './client.ts'
import { InvalidOptionError, UnknownOriginError } from './errors.ts'
import { redactUrl } from './events.ts'
import type { Fetch, FetchInit } from './fetch/fetch.ts'
import { checkServices, type ClientOptions, resolveService, type ServiceOptions } from './options.ts'

/** What {@link createServices} adds to the clients. */
export interface ServiceRouter<Name extends string = string> extends AsyncDisposable {
  /**
   * Drop-in `fetch` on the client of the service the URL belongs to, by scheme, host and port; else on that of `default`. A redirect
   * stays with the client that made the call, wherever it leads.
   * @throws UnknownOriginError if no service has this origin, and none is named `default`; as a rejection, like everything below
   * @throws InvalidOptionError if the URL is relative: it names no service
   */
  readonly fetch: Fetch
  /** `stats()` of each client, by the name of its service. */
  stats(): { readonly [K in Name]: ClientStats }
  /** Closes every client, whatever becomes of the others. @throws what one failed with, or an AggregateError */
  close(): Promise<void>
  /** Destroys every client; readers get `error`. @throws as `close` */
  destroy(error?: Error): Promise<void>
}

/** Clients by name, and what is common to them. */
export type Services<Name extends string = string> = { readonly [K in Name]: Client } & ServiceRouter<Name>

/** Options by the name of the service. Each needs an `origin`, but for `default`, which takes what no other does. */
export type ServicesOptions<Name extends string = string> = {
  readonly [K in Name]: K extends keyof ServiceRouter | keyof typeof Object.prototype | 'then'
    ? never
    : K extends 'default'
      ? ServiceOptions
      : ServiceOptions & Required<Pick<ServiceOptions, 'origin'>>
}

/** The service that takes every origin no other has. */
const fallback = 'default'

/**
 * One client per service, named like it unless its options say otherwise.
 * @throws InvalidOptionError naming service and option: not accepted, an origin two services claim, or a name that is taken
 */
export function createServices<Name extends string>(services: ServicesOptions<Name>): Services<Name> {
  const { clientOptions, names } = resolve(services)
  const clients = createClients(clientOptions)
  const each = [...clients.values()]

  function clientFor(input: unknown): Client {
    const origin = originOf(input)
    const client = clients.get(names.get(origin) ?? fallback)
    if (client === undefined) throw new UnknownOriginError(origin, names)
    return client
  }

  /** May be called again, as `await using` does: a client that is closed stays closed. */
  const close = (): Promise<void> => settleAll(each.map((client) => client.close()))

  const router: ServiceRouter<Name> = {
    fetch(input: string | URL | Request, init?: FetchInit | RequestInit) {
      try {
        return clientFor(input).fetch(input, init as FetchInit | undefined)
      } catch (error) {
        return Promise.reject(error)
      }
    },
    stats: () =>
      Object.fromEntries(Array.from(clients, ([name, client]) => [name, client.stats()])) as {
        [K in Name]: ClientStats
      },
    close,
    destroy: (error) => settleAll(each.map((client) => client.destroy(error))),
    [Symbol.asyncDispose]: close,
  }
  return { ...(Object.fromEntries(clients) as { [K in Name]: Client }), ...router }
}

interface Resolved {
  /** Options of the clients by the name of their service. */
  readonly clientOptions: ReadonlyMap<string, ClientOptions>
  /** The name of its service by origin. */
  readonly names: ReadonlyMap<string, string>
}

function resolve(services: Readonly<Record<string, ServiceOptions>>): Resolved {
  checkServices(services)
  const clientOptions = new Map<string, ClientOptions>()
  const names = new Map<string, string>()
  for (const [name, options] of Object.entries<ServiceOptions>(services)) {
    checkName(name)
    const { client, claims } = named(name, () => resolveService(options))
    if (client.origin === undefined && name !== fallback)
      throw new InvalidOptionError(
        `${name}.origin`,
        `Option ${name}.origin has to be given: only the service named ${fallback} needs none`,
      )
    for (const [option, origin] of claims) {
      const other = names.get(origin) ?? name
      if (other !== name)
        throw new InvalidOptionError(
          `${name}.${option}`,
          `Services ${other} and ${name} both claim ${origin}: an origin belongs to one service`,
        )
      names.set(origin, name)
    }
    clientOptions.set(name, { ...client, name: client.name ?? name })
  }
  return { clientOptions, names }
}

function createClients(clientOptions: Resolved['clientOptions']): ReadonlyMap<string, Client> {
  const clients = new Map<string, Client>()
  try {
    for (const [name, options] of clientOptions)
      clients.set(
        name,
        named(name, () => createClient(options)),
      )
  } catch (error) {
    // Nobody gets them, so nobody could close them.
    for (const client of clients.values()) client.destroy().catch(() => {})
    throw error
  }
  return clients
}

/** Object's own names, and `then`: an object that has it is taken for a promise. */
const taken: ReadonlySet<string> = new Set([
  ...(['fetch', 'stats', 'close', 'destroy'] satisfies (keyof ServiceRouter)[]),
  'then',
  ...Object.getOwnPropertyNames(Object.prototype),
])

function checkName(name: string): void {
  if (name === '') throw new InvalidOptionError('services', 'The name of a service must not be empty')
  if (taken.has(name))
    throw new InvalidOptionError(name, `A service cannot be named ${name}: the name is taken`)
}

/** What `make` makes; what it refuses is refused with the full path of the option. */
function named<T>(service: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error
    const option = error.option === 'options' ? service : `${service}.${error.option}`
    throw new InvalidOptionError(option, `${option}: ${error.message}`)
  }
}

/** Scheme, host and port; of a URL without a host only the scheme. */
function originOf(input: unknown): string {
  const address = String((input as Request | null | undefined)?.url ?? input)
  const url = URL.parse(address)
  if (url === null) {
    const shown = address.startsWith('/') ? ` (${redactUrl(address)})` : ''
    throw new InvalidOptionError(
      'input',
      `fetch of services takes absolute URLs only${shown}: another one names no service; use the fetch of the service itself`,
    )
  }
  return url.origin === 'null' ? url.protocol : url.origin
}

async function settleAll(endings: readonly Promise<void>[]): Promise<void> {
  const errors = (await Promise.allSettled(endings)).flatMap((each) =>
    each.status === 'rejected' ? [each.reason as unknown] : [],
  )
  if (errors.length === 1) throw errors[0]
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} services did not end well`)
}
