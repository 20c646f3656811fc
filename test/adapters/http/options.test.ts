/** Node's own options are Node's; ours are checked like those of a client; the rest is refused. */
import http from 'node:http'
import https from 'node:https'
import { expect, test } from 'vitest'
import { DrainedAgent, DrainedHttpsAgent, InvalidOptionError } from '../../../src/adapters/node-http.ts'

test('defaults: kept alive, 128 sockets per origin, 30 s idle', () => {
  for (const agent of [new DrainedAgent(), new DrainedHttpsAgent()]) {
    expect(agent).toMatchObject({ maxSockets: 128, maxTotalSockets: Infinity })
    expect((agent as unknown as { keepAlive: boolean }).keepAlive).toBe(true)
    expect(agent.stats()).toMatchObject({ name: 'agent', sockets: { open: 0 }, origins: {} })
  }
  expect(new DrainedAgent()).toBeInstanceOf(http.Agent)
  expect(new DrainedHttpsAgent()).toBeInstanceOf(https.Agent)
})

test('options of Node pass through, and undefined is no option', () => {
  const agent = new DrainedAgent({
    keepAlive: false,
    maxSockets: Infinity,
    maxTotalSockets: 7,
    maxFreeSockets: 3,
    scheduling: 'fifo',
    timeout: 1_000,
    localAddress: '127.0.0.1',
    keepAliveMsecs: undefined,
  })
  expect(agent).toMatchObject({ maxSockets: Infinity, maxTotalSockets: 7, maxFreeSockets: 3 })
  const { options } = agent as unknown as { options: Record<string, unknown> }
  expect(options).toMatchObject({ keepAlive: false, localAddress: '127.0.0.1', timeout: 1_000 })
  expect(Object.keys(options)).not.toContain('drain')
  expect(
    new DrainedHttpsAgent({ maxCachedSessions: 0, rejectUnauthorized: false, minVersion: 'TLSv1.3' }),
  ).toBeDefined()
  // Node checks its own.
  expect(() => new DrainedAgent({ scheduling: 'random' as 'fifo' })).toThrow('scheduling')
})

test('what is neither is refused, with the name that was meant', () => {
  const make = (options: object): (() => unknown) => {
    return () => new DrainedAgent(options)
  }
  expect(make({ maxSocket: 1 })).toThrow('Unknown option maxSocket: did you mean maxSockets?')
  expect(make({ drain: { stal: 1 } })).toThrow('did you mean drain.stall?')
  expect(make({ drain: { stall: -1 } })).toThrow(
    'Option drain.stall must be milliseconds from 0 to 2147483647',
  )
  expect(make({ name: '' })).toThrow(InvalidOptionError)
  expect(make({ ca: 'x' })).toThrow('Unknown option ca')
  expect(make({ drain: null })).toThrow('Option drain must be an object')
  expect(make([])).toThrow('options must be an object')
  expect(() => new DrainedHttpsAgent({ reject: true } as object)).toThrow('did you mean')
})
