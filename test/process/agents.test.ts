/** install() and node:http: the default agents of the process, as modules of both kinds see them. */
import http, * as httpNames from 'node:http'
import https, * as httpsNames from 'node:https'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { install } from '../../src/index.ts'
import { DrainedAgent, DrainedHttpsAgent } from '../../src/adapters/node-http.ts'
import { installFrom } from '../../src/process/environment.ts'
import { installOn } from '../../src/process/install.ts'
import { tls } from '../support/h2.ts'
import { createOrigin } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'

const require = createRequire(import.meta.url)
const before = { http: http.globalAgent, https: https.globalAgent }

const seen = () => ({
  http: [http.globalAgent, httpNames.globalAgent, (require('node:http') as typeof http).globalAgent],
  https: [https.globalAgent, httpsNames.globalAgent, (require('node:https') as typeof https).globalAgent],
})

afterEach(() => {
  install()()
  const { http: agents, https: secure } = seen()
  for (const agent of agents) expect(agent).toBe(before.http)
  for (const agent of secure) expect(agent).toBe(before.https)
})

const get = async (url: string, options: http.RequestOptions = {}): Promise<http.IncomingMessage> => {
  const [response] = (await once(http.get(url, options), 'response')) as [http.IncomingMessage]
  return response
}

test('both default agents are ours, in modules of both kinds', () => {
  install()
  const { http: agents, https: secure } = seen()
  expect(new Set(agents).size).toBe(1)
  expect(new Set(secure).size).toBe(1)
  expect(agents[0]).toBeInstanceOf(DrainedAgent)
  expect(secure[0]).toBeInstanceOf(DrainedHttpsAgent)
})

test('requests without an agent are on it, unread answers cost no connection each, and stats shows them', async () => {
  await using origin = await createOrigin(serveShapes)
  const undo = install({ connections: 2 })
  const kept: http.IncomingMessage[] = []
  for (let i = 0; i < 10; i++) kept.push(await get(`${origin.url}/404%20with%20256%20KiB`))
  await until(() => undo.stats()['http']?.requests.inFlight === 0, 'received')
  expect(origin.accepted).toBeLessThanOrEqual(2)
  expect(Object.keys(undo.stats())).toEqual(['process', 'http', 'https'])
  expect(undo.stats()['http']?.sockets.opened).toBe(origin.accepted)
  expect(undo.stats()['process']?.sockets.opened).toBe(0)
  for (const response of kept) response.destroy()
  undo()
  const response = await get(`${origin.url}/ok`, { agent: false })
  response.destroy()
  http.globalAgent.destroy()
})

test('who passes an agent keeps it', async () => {
  await using origin = await createOrigin(serveShapes)
  const undo = install()
  const agent = new http.Agent({ keepAlive: true })
  const response = await get(`${origin.url}/ok`, { agent })
  response.destroy()
  expect(undo.stats()['http']?.bodies.open).toBe(0)
  expect(undo.stats()['http']?.sockets.opened).toBe(0)
  agent.destroy()
})

test('options reach the agents', () => {
  install({ connections: 3, keepAlive: 7_000, tls: { servername: 'x' }, proxy: 'http://127.0.0.1:9' })
  const options = (agent: http.Agent) => (agent as unknown as { options: Record<string, unknown> }).options
  expect(http.globalAgent.maxSockets).toBe(3)
  expect(options(http.globalAgent)['timeout']).toBe(7_000)
  expect(options(http.globalAgent)['servername']).toBeUndefined()
  expect(options(https.globalAgent)['servername']).toBe('x')
  expect(options(https.globalAgent)['proxyEnv']).toMatchObject({ HTTPS_PROXY: 'http://127.0.0.1:9' })
})

test('what one agent refuses installs nothing', () => {
  expect(() => install({ tls: { nosuch: 1 } as never })).toThrow(/Unknown option nosuch/)
  expect(install({ http: false })).toHaveProperty('stats')
})

test.each([
  ['22.20.0', false],
  ['22.21.0', true],
  ['23.11.1', false],
  ['24.4.1', false],
  ['24.5.0', true],
  ['26.0.0', true],
])('on Node %s, whose agents know proxies: %s, a proxy for node:http is used or refused', (node, isKnown) => {
  const own = Object.getOwnPropertyDescriptor(process, 'versions') as PropertyDescriptor
  Object.defineProperty(process, 'versions', { ...own, value: { ...process.versions, node } })
  const isRefused = (run: () => unknown, option: string): void => {
    const message = `${option} cannot be .*agents of node:http know proxies from Node 22.21 and 24.5 on; this is ${node}`
    if (isKnown) expect(run).not.toThrow()
    else expect(run).toThrow(new RegExp(message))
  }
  try {
    const proxy = 'http://127.0.0.1:9'
    isRefused(() => install({ proxy }), 'Option proxy')
    install()()
    isRefused(() => installFrom({ DRAINED_PROXY: 'env' }), 'DRAINED_PROXY')
    install()()
    isRefused(() => new DrainedAgent({ proxyEnv: { HTTP_PROXY: proxy } }), 'Option proxyEnv')
    install({ proxy, http: false })()
    install({ proxy: false })()
  } finally {
    Object.defineProperty(process, 'versions', own)
  }
})

test('what is refused over an install from outside of the program leaves that one as it was', () => {
  const outside = installOn({ connections: 5 }, {})
  expect(() => install({ tls: { nosuch: 1 } as never })).toThrow(/Unknown option nosuch/)
  for (const agent of [http.globalAgent, https.globalAgent]) expect(agent.maxSockets).toBe(5)
  expect(install()).toBe(outside)
  expect(Object.keys(outside.stats())).toEqual(['process', 'http', 'https'])
  outside()
  expect(http.globalAgent).toBe(before.http)
})

test('http: false leaves them alone, and so does an agent of another class', () => {
  install({ http: false })
  expect(http.globalAgent).toBe(before.http)
  install()()
  class Theirs extends http.Agent {}
  const theirs = new Theirs()
  http.globalAgent = theirs
  const undo = install()
  expect(http.globalAgent).toBe(theirs)
  expect(https.globalAgent).toBeInstanceOf(DrainedHttpsAgent)
  expect(Object.keys(undo.stats())).toEqual(['process', 'https'])
  undo()
  expect(http.globalAgent).toBe(theirs)
  http.globalAgent = before.http
})

const optionsOf = (agent: http.Agent) => (agent as unknown as { options: https.AgentOptions }).options

async function secure(): Promise<AsyncDisposable & { url: string }> {
  const server = https.createServer(tls, (_, response) => response.end('ok'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('an agent of Node’s own class that somebody has made keeps its settings, with the contract on it', async () => {
  await using origin = await secure()
  const theirs = new https.Agent({ ca: tls.cert, minVersion: 'TLSv1.3', maxSockets: 7, timeout: 9_000 })
  const onKeylog = vi.fn()
  theirs.on('keylog', onKeylog)
  https.globalAgent = theirs
  try {
    const undo = install({ keepAlive: 8_000 })
    expect(https.globalAgent).toBeInstanceOf(DrainedHttpsAgent)
    expect(https.globalAgent.maxSockets).toBe(7)
    // What install() is told comes first.
    expect(optionsOf(https.globalAgent)).toMatchObject({ minVersion: 'TLSv1.3', timeout: 8_000 })
    const [response] = (await once(https.get(origin.url), 'response')) as [http.IncomingMessage]
    expect(await response.toArray()).toEqual([Buffer.from('ok')])
    expect(onKeylog).toHaveBeenCalled()
    https.globalAgent.destroy()
    undo()
    expect(https.globalAgent).toBe(theirs)
  } finally {
    https.globalAgent = before.https
  }
})

test('what somebody has set of Node’s own agents stays set, and nothing else of them', () => {
  const agents = [http.globalAgent, https.globalAgent]
  for (const agent of agents) Object.assign(agent, { maxSockets: 1_000, keepAlive: false, maxFreeSockets: 5 })
  optionsOf(https.globalAgent).ca = tls.cert
  try {
    const undo = install()
    for (const agent of [http.globalAgent, https.globalAgent]) {
      expect(agent).toMatchObject({ maxSockets: 1_000, keepAlive: false, maxFreeSockets: 5 })
      expect(optionsOf(agent).timeout).toBeUndefined()
    }
    expect(optionsOf(https.globalAgent).ca).toBe(tls.cert)
    undo()
    install({ connections: 3 })
    expect(http.globalAgent.maxSockets).toBe(3)
    install()()
  } finally {
    for (const agent of agents)
      Object.assign(agent, { maxSockets: Infinity, keepAlive: true, maxFreeSockets: 256 })
    delete optionsOf(https.globalAgent).ca
  }
  install()
  expect(http.globalAgent).toMatchObject({ maxSockets: 128, keepAlive: true, maxFreeSockets: 256 })
})

test.each([
  ['a method of its own', Object.assign(new http.Agent(), { createConnection: () => undefined })],
  ['an option that ours does not know', new http.Agent({ nosuch: 1 } as http.AgentOptions)],
])('an agent with %s is left alone', (_, theirs) => {
  http.globalAgent = theirs
  const undo = install()
  expect(http.globalAgent).toBe(theirs)
  undo()
  http.globalAgent = before.http
})

test('an agent put in our place later is left alone by undo', () => {
  const undo = install()
  const theirs = new http.Agent()
  http.globalAgent = theirs
  undo()
  expect(http.globalAgent).toBe(theirs)
  http.globalAgent = before.http
  install()()
})
