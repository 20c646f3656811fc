/** install() and node:http: the default agents of the process, as modules of both kinds see them. */
import http, * as httpNames from 'node:http'
import https, * as httpsNames from 'node:https'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import { afterEach, expect, test } from 'vitest'
import { install } from '../../src/index.ts'
import { DrainedAgent, DrainedHttpsAgent } from '../../src/adapters/node-http.ts'
import { installOn } from '../../src/process/install.ts'
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

test('an agent put in our place later is left alone by undo', () => {
  const undo = install()
  const theirs = new http.Agent()
  http.globalAgent = theirs
  undo()
  expect(http.globalAgent).toBe(theirs)
  http.globalAgent = before.http
  install()()
})
