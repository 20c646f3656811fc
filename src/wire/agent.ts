/** Client options to an undici dispatcher: bounded, one request at a time on a connection, behind a proxy if asked. */
import { Agent, type buildConnector, type Dispatcher, EnvHttpProxyAgent, Pool, ProxyAgent } from 'undici'
import { clientDefaults, type ResolvedClient } from '../options.ts'
import { margin } from './keep-alive.ts'

/** The dispatcher these options describe, and whether it is ours to close. */
export function createAgent(options: ResolvedClient): { dispatcher: Dispatcher; owned: boolean } {
  if (options.dispatcher !== undefined) return { dispatcher: options.dispatcher, owned: false }
  const { proxy = clientDefaults.proxy } = options
  const settings = poolOptions(options)
  if (proxy === false) return { dispatcher: new Agent(settings), owned: true }
  // undici keeps the TLS options of the proxy itself apart; ours are meant for the origin behind it.
  const requestTls = (options.tls ?? {}) as buildConnector.BuildOptions
  if (proxy === 'env') return { dispatcher: new EnvHttpProxyAgent({ ...settings, requestTls }), owned: true }
  return { dispatcher: new ProxyAgent({ ...settings, uri: String(proxy), requestTls }), owned: true }
}

function poolOptions(options: ResolvedClient): Agent.Options {
  const { connections = clientDefaults.connections, keepAlive = clientDefaults.keepAlive } = options
  const { connect: timeout } = options.timeout
  // undici's 0 is no limit.
  const connectTimeout = timeout === undefined ? undefined : { timeout: timeout === Infinity ? 0 : timeout }
  const settings: Agent.Options = {
    connections,
    // One response after another: behind a slow body, a pipelined request would wait for it.
    pipelining: 1,
    keepAliveTimeout: keepAlive,
    keepAliveMaxTimeout: keepAlive,
    // undici's own 2 s would make a connection for each request of a server that hints at 1 or 2.
    keepAliveTimeoutThreshold: margin,
    allowH2: options.http2 ?? clientDefaults.http2,
    ...(options.maxOrigins === undefined ? undefined : { maxOrigins: options.maxOrigins }),
    ...(options.connectionLifetime === undefined ? undefined : { clientTtl: options.connectionLifetime }),
    connect: { ...options.tls, ...options.connect, ...connectTimeout } as NonNullable<
      Agent.Options['connect']
    >,
  }
  return {
    ...settings,
    // Without it, undici has no lifetime for a pool of one, and no limit for connections to a forwarding proxy.
    factory: (origin, given) => new Pool(origin, Object.assign({}, settings, given)),
  }
}
