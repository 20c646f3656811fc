/** What an SDK asks of the connections that its client is not made for is refused by name; what the two agree on passes. */
import http from 'node:http'
import {
  createDefaultHttpClient,
  createPipelineFromOptions,
  createPipelineRequest,
} from '@azure/core-rest-pipeline'
import { afterEach, expect, test, vi } from 'vitest'
import { azureHttpClient } from '../../../src/adapters/azure.ts'
import { refuseOther } from '../../../src/adapters/azure/refused.ts'
import { type ClientOptions, InvalidOptionError } from '../../../src/index.ts'
import { testClient } from '../../support/client.ts'
import { createOrigin } from '../../support/origin.ts'
import { Agent } from 'undici'
import { whole } from './both.ts'

type Asked = Partial<Parameters<typeof createPipelineRequest>[0]> & {
  tlsSettings?: object
  requestOverrides?: object
}
type ForPipeline = NonNullable<Parameters<typeof createPipelineFromOptions>[0]>

afterEach(() => vi.unstubAllEnvs())

/** Through the pipeline that SDKs make of their options. */
async function ask(
  {
    clientOptions = {},
    asked = {},
    pipelineOptions = {},
  }: {
    clientOptions?: ClientOptions
    asked?: Asked
    pipelineOptions?: ForPipeline
  },
  url?: string,
): Promise<unknown> {
  await using origin = await createOrigin(whole('200 OK', 'ok'))
  await using client = testClient(
    clientOptions.dispatcher === undefined
      ? clientOptions
      : { ...clientOptions, connections: undefined as never },
  )
  const pipeline = createPipelineFromOptions({ retryOptions: { maxRetries: 3 }, ...pipelineOptions })
  const request = createPipelineRequest({ url: url ?? origin.url, allowInsecureConnection: true })
  Object.assign(request, asked)
  try {
    return (await pipeline.sendRequest(azureHttpClient(client), request)).bodyAsText
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionError)
    return `${(error as InvalidOptionError).option}: ${(error as Error).message}`
  }
}

test('only a client will do', () => {
  for (const bad of [undefined, {}, { fetch }, createDefaultHttpClient()])
    expect(() => azureHttpClient(bad as never)).toThrow(
      /azureHttpClient\(client\) takes what createClient\(\) returns/,
    )
})

test('an agent of node:http is refused', async () => {
  const agent = new http.Agent()
  expect(await ask({ asked: { agent } })).toMatch(/^agent: .*createClient/)
  expect(await ask({ pipelineOptions: { agent } })).toMatch(/^agent: /)
})

test('request overrides are refused by their names', async () => {
  expect(await ask({ asked: { requestOverrides: { localAddress: '127.0.0.2' } } })).toMatch(
    /^requestOverrides: .*\(localAddress\)/,
  )
  expect(await ask({ asked: { requestOverrides: {} } })).toBe('ok')
})

test('TLS settings are refused unless the client connects with the same', async () => {
  const tlsOptions = { ca: 'authority', key: Buffer.from('key') }
  expect(await ask({ pipelineOptions: { tlsOptions } })).toMatch(/^tlsOptions: tlsOptions\.ca /)
  expect(await ask({ pipelineOptions: { tlsOptions }, clientOptions: { tls: { ca: 'authority' } } })).toMatch(
    /^tlsOptions: tlsOptions\.key /,
  )
  const tls = { ca: 'authority', key: Buffer.from('key') }
  expect(await ask({ pipelineOptions: { tlsOptions }, clientOptions: { tls } })).toBe('ok')
})

test('a proxy is refused unless the client uses the same, and its password is not shown', async () => {
  const proxyOptions = { host: 'http://127.0.0.1', port: 1, username: 'user', password: 'secret' }
  const refused = await ask({ pipelineOptions: { proxyOptions } })
  expect(refused).toMatch(/^proxy: .*http:\/\/127\.0\.0\.1:1 .*uses none.*proxy: 'env'/)
  expect(refused).not.toContain('secret')
  expect(
    await ask({ pipelineOptions: { proxyOptions }, clientOptions: { proxy: 'http://127.0.0.1:2' } }),
  ).toMatch(/^proxy: .*uses http:\/\/127\.0\.0\.1:2/)
  expect(await ask({ asked: { proxySettings: proxyOptions } })).toMatch(/^proxy: /)
})

test('a proxy of the environment passes with a client that reads the environment, and goes through it', async () => {
  const seen: string[] = []
  const proxy = http.createServer((request, response) => {
    seen.push(request.url ?? '')
    response.end('by proxy')
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const { port } = proxy.address() as { port: number }
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${port}`)
  vi.stubEnv('http_proxy', undefined)
  const url = 'http://storage.invalid/c/b'
  expect(await ask({}, url)).toMatch(/^proxy: .*uses none/)
  expect(await ask({ clientOptions: { proxy: 'env' } }, url)).toBe('by proxy')
  expect(seen).toEqual([url])
  proxy.closeAllConnections()
  proxy.close()
})

test('an empty https_proxy is none, and that of http: is used, as undici does it', () => {
  for (const name of ['HTTPS_PROXY', 'http_proxy']) vi.stubEnv(name, undefined)
  vi.stubEnv('https_proxy', '')
  vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1')
  const proxySettings = { host: 'http://127.0.0.1', port: 1 }
  const request = createPipelineRequest({ url: 'https://storage.invalid/c/b', proxySettings })
  expect(() => refuseOther(request, { proxy: 'env' })).not.toThrow()
})

test('a dispatcher of your own decides by itself', async () => {
  const dispatcher = new Agent({ keepAliveTimeout: 10 })
  const proxyOptions = { host: 'http://127.0.0.1', port: 1 }
  expect(await ask({ pipelineOptions: { proxyOptions }, clientOptions: { dispatcher } })).toBe('ok')
  await dispatcher.close()
})
