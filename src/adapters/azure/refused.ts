/**
 * Connection settings of an SDK's client, held against those of ours. The connections are ours, so what asks for other ones is refused:
 * a proxy or a certificate silently left out would be worse.
 */
import type { ConnectionOptions } from 'node:tls'
import { InvalidOptionError } from '../../errors.ts'
import { clientDefaults, type ClientOptions } from '../../options.ts'
import { proxiesOf } from '../../wire/agent.ts'
import type { AzureRequest, ProxySettings } from './request.ts'

/** @throws InvalidOptionError naming the option, and what to do instead */
export function refuseOther(request: AzureRequest, client: ClientOptions): void {
  const { agent, tlsSettings, proxySettings, requestOverrides } = request
  const overrides = Object.keys(requestOverrides ?? {})
  if (overrides.length > 0)
    throw new InvalidOptionError(
      'requestOverrides',
      `requestOverrides (${overrides.join(', ')}) are options of node:http, which this client does not use: set what they say with createClient()`,
    )
  const proxy = proxyOf(agent) ?? (proxySettings === undefined ? undefined : toUrl(proxySettings))
  if (agent !== undefined && proxy === undefined)
    throw new InvalidOptionError(
      'agent',
      'An agent of node:http cannot be used: the connections are those of createClient(), where they are bounded by `connections`',
    )
  if (proxy !== undefined) refuseProxy(proxy, request.url, client)
  if (tlsSettings !== undefined) refuseTls(tlsSettings, client)
}

/** The SDK's proxy policy says what it wants by an agent. */
function proxyOf(agent: object | undefined): URL | undefined {
  const proxy: unknown = agent !== undefined && 'proxy' in agent ? agent.proxy : undefined
  return proxy instanceof URL ? proxy : undefined
}

function toUrl({ host, port, username = '', password = '' }: ProxySettings): URL {
  const url = new URL(host)
  return Object.assign(url, { port: String(port), username, password })
}

const isSame = (one: URL, other: URL): boolean =>
  one.origin === other.origin && one.username === other.username && one.password === other.password

function refuseProxy(
  wanted: URL,
  target: string,
  { proxy = clientDefaults.proxy, dispatcher }: ClientOptions,
): void {
  // Whoever brings a dispatcher has decided which way it goes.
  if (dispatcher !== undefined) return
  const own = proxy === 'env' ? fromEnvironment(target) : proxy === false ? undefined : new URL(proxy)
  if (own !== undefined && isSame(own, wanted)) return
  throw new InvalidOptionError(
    'proxy',
    `The SDK is to use the proxy ${wanted.origin} (from its options, or HTTPS_PROXY, HTTP_PROXY or ALL_PROXY), and this client ` +
      `${own === undefined ? 'uses none' : `uses ${own.origin}`}: create it with proxy: 'env' or the URL of that proxy`,
  )
}

function fromEnvironment(target: string): URL | undefined {
  const { http, https } = proxiesOf(process.env)
  const named = target.startsWith('https:') ? https : http
  return named === undefined ? undefined : (URL.parse(named) ?? undefined)
}

function refuseTls(wanted: object, { tls = {}, dispatcher }: ClientOptions): void {
  if (dispatcher !== undefined) return
  for (const [name, value] of Object.entries(wanted)) {
    if (value === undefined || isEqual(value, tls[name as keyof ConnectionOptions])) continue
    throw new InvalidOptionError(
      'tlsOptions',
      `tlsOptions.${name} of the SDK is not what this client connects with: set it with createClient({ tls: { ${name} } })`,
    )
  }
}

function isEqual(one: unknown, other: unknown): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other) === 0
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((each, at) => isEqual(each, other[at]))
  return one === other
}
