/** Client options to an undici dispatcher: bounded, one request at a time on a connection, behind a proxy if asked. */
import {
  Agent,
  type buildConnector,
  type Dispatcher,
  EnvHttpProxyAgent,
  errors,
  Pool,
  ProxyAgent,
} from 'undici'
import { InvalidOptionError } from '../errors.ts'
import { clientDefaults, type ConnectOptions, type ResolvedClient, type Timeouts } from '../options.ts'
import { margin } from './keep-alive.ts'

/** The dispatcher these options describe, and whether it is ours to close. */
export function createAgent(options: ResolvedClient): { dispatcher: Dispatcher; owned: boolean } {
  if (options.dispatcher !== undefined) return { dispatcher: options.dispatcher, owned: false }
  const { proxy = clientDefaults.proxy } = options
  const settings = poolOptions(options)
  if (proxy === false) return { dispatcher: new Agent(settings), owned: true }
  const behind = { ...settings, ...proxyOptions(options) }
  if (proxy === 'env') {
    if (options.connect !== undefined) refuseSocks()
    return { dispatcher: new EnvHttpProxyAgent(behind), owned: true }
  }
  return { dispatcher: new ProxyAgent({ ...behind, uri: String(proxy) }), owned: true }
}

/** The proxies of an environment, as undici reads it: a lower-case name comes first, and an empty one is none. */
export function proxiesOf(env: NodeJS.ProcessEnv): { http: string | undefined; https: string | undefined } {
  const http = env['http_proxy'] ?? env['HTTP_PROXY']
  return { http, https: (env['https_proxy'] ?? env['HTTPS_PROXY']) || http }
}

/** undici takes options of the connection to a SOCKS proxy for a wish to speak TLS to it. */
function refuseSocks(): void {
  const { http, https } = proxiesOf(process.env)
  if ([http, https].some((each) => /^\s*socks5?:/i.test(each ?? '')))
    throw new InvalidOptionError(
      'connect',
      "Option connect cannot be combined with proxy: 'env' where that is a SOCKS proxy",
    )
}

/** undici does not heed `connect` behind a proxy: options of the way to the proxy and of the one in the tunnel are apart. */
function proxyOptions({ tls = {}, connect, timeout }: ResolvedClient): Partial<ProxyAgent.Options> {
  const limit = limitOf(timeout)
  const tunnel = {
    ...localAddressOf(connect ?? {}),
    ...(limit === undefined ? undefined : { headersTimeout: limit }),
  }
  return {
    // Ours are meant for the origin behind it.
    requestTls: tls as buildConnector.BuildOptions,
    ...(connect === undefined ? undefined : { proxyTls: connect }),
    ...(limit === undefined ? undefined : { connectTimeout: limit }),
    clientFactory(proxy: URL, given: object): Dispatcher {
      const pool = new Pool(proxy, { ...given, ...tunnel })
      const connect = pool.connect.bind(pool) as (to: Dispatcher.ConnectOptions) => Promise<object>
      return Object.assign(pool, {
        connect: (to: Dispatcher.ConnectOptions) => connect(to).catch(throwUnmade),
      }) as Dispatcher
    },
  }
}

/** As undici takes it, everywhere: in whole milliseconds, and 0 is no limit. */
function limitOf({ connect }: Timeouts): number | undefined {
  return connect === undefined ? undefined : connect === Infinity ? 0 : Math.ceil(connect)
}

/** A tunnel is part of a connection: one that is late is a connection that is. */
function throwUnmade(error: Error): never {
  if (!(error instanceof errors.HeadersTimeoutError)) throw error
  throw Object.assign(new errors.ConnectTimeoutError('The proxy has not made the tunnel in time'), {
    cause: error,
  })
}

/** Of a pool, and not of the function that connects, which undici gives the pool's. */
const localAddressOf = ({ localAddress }: ConnectOptions): { localAddress?: string } =>
  localAddress === undefined ? {} : { localAddress }

function poolOptions(options: ResolvedClient): Agent.Options {
  const { connections = clientDefaults.connections, keepAlive = clientDefaults.keepAlive } = options
  const timeout = limitOf(options.timeout)
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
    ...localAddressOf(options.connect ?? {}),
    connect: { ...options.tls, ...options.connect, ...(timeout !== undefined && { timeout }) } as NonNullable<
      Agent.Options['connect']
    >,
  }
  return {
    ...settings,
    // Without it, undici has no lifetime for a pool of one, and no limit for connections to a forwarding proxy.
    factory: (origin, given) => new Pool(origin, Object.assign({}, settings, given)),
  }
}
