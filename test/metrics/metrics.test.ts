/** The instruments, with the real SDK: what they count, by which attributes, and that nothing else is in them. */
import diagnostics from 'node:diagnostics_channel'
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import type { MetricData } from '@opentelemetry/sdk-metrics'
import { expect, test } from 'vitest'
import { meterClients, metricProducer, type Source } from '../../src/adapters/metrics.ts'
import { serverOf } from '../../src/adapters/metrics/attributes.ts'
import { measures } from '../../src/adapters/metrics/measures.ts'
import { timings } from '../../src/adapters/metrics/timings.ts'
import { DrainedAgent } from '../../src/adapters/node-http.ts'
import { type Client, createServices, type FetchInit, InvalidOptionError } from '../../src/index.ts'
import type { RequestEvent } from '../../src/events.ts'
import { testClient } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'
import { type Collected, inMemory, valueOf } from './support.ts'

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

const byText = (one: unknown, other: unknown): number => (String(one) < String(other) ? -1 : 1)

interface Histogram {
  readonly count: number
  readonly sum: number
}

test('the address of a Unix socket is its path, and it has no port', () => {
  expect(serverOf('http:///var/run/x.sock')).toEqual({
    'server.address': '/var/run/x.sock',
    'url.scheme': 'http',
  })
  expect(serverOf('http://[::1]:8080')).toEqual({
    'server.address': '[::1]',
    'server.port': 8080,
    'url.scheme': 'http',
  })
})

test('a call is one request, one body and one active connection, with the attributes of the conventions', async () => {
  await using origin = await createOrigin((_, reply) => reply.write(ok))
  await using client = testClient({ name: 'blob' })
  await using memory = inMemory()
  using _ = meterClients(client, { meterProvider: memory.provider })
  const started = performance.now()
  const response = await client.fetch(`${origin.url}/secret/path?sig=secret`, { method: 'PUT', body: 'x' })
  expect(await response.text()).toBe('ok')

  const server = { 'server.address': '127.0.0.1', 'server.port': origin.port, 'url.scheme': 'http' }
  const common = { 'drained.client': 'blob', ...server }
  const [duration, ...others] = await memory.points('http.client.request.duration')
  const seconds = (performance.now() - started) / 1_000
  expect(others).toEqual([])
  expect(duration?.attributes).toEqual({
    ...common,
    'http.request.method': 'PUT',
    'http.response.status_code': 200,
    'network.protocol.version': '1.1',
  })
  expect(duration?.value).toMatchObject({ count: 1 })
  expect((duration as { value: Histogram }).value.sum).toBeLessThanOrEqual(seconds)
  const body = { 'drained.outcome': 'read', 'drained.reason': 'complete' }
  expect(await memory.points('drained.bodies')).toMatchObject([
    { value: 1, attributes: { ...common, ...body } },
  ])
  expect(await memory.points('drained.body.held')).toMatchObject([
    { value: { count: 1 }, attributes: { ...common, ...body } },
  ])
  const open = await memory.points('http.client.open_connections')
  expect(valueOf(open, { ...common, 'http.connection.state': 'idle' })).toBe(1)
  expect(valueOf(open, { ...common, 'http.connection.state': 'active' })).toBe(0)
  const bytes = await memory.points('drained.bytes')
  expect(valueOf(bytes, { 'drained.bytes.fate': 'read' })).toBe(2)

  await client.destroy()
  await until(() => client.stats().sockets.open === 0, 'closed')
  expect(await memory.points('http.client.connection.duration')).toMatchObject([
    { value: { count: 1 }, attributes: { ...common, 'network.protocol.version': '1.1' } },
  ])
})

const busy = 'HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy'
const page = fs.readFileSync(path.join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')

/** The attributes docs/metrics.md has for an instrument. */
function documented(name: string): Set<string> {
  const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\` `)) ?? ''
  const own = [...row.matchAll(/`([a-z_]+\.[\w.]+)`/g)].map(([, each]) => each as string)
  const server = row.includes('| server') ? ['server.address', 'server.port', 'url.scheme'] : []
  return new Set(['drained.client', ...server, ...own])
}

const kinds = ['meterClients', 'metricProducer'] as const

/** The metrics of a client, by either way. */
function metered(kind: (typeof kinds)[number], sources: Source | Iterable<Source>): Collected {
  const producer = kind === 'metricProducer' ? metricProducer(sources) : undefined
  const memory = inMemory(...(producer === undefined ? [] : [producer]))
  const stop = producer?.stop ?? meterClients(sources, { meterProvider: memory.provider })
  return {
    ...memory,
    async [Symbol.asyncDispose]() {
      stop()
      await memory[Symbol.asyncDispose]()
    },
  }
}

test.each(kinds)(
  '%s: what a client goes through is told by documented attributes, and no secret is',
  async (kind) => {
    let calls = 0
    await using origin = await createOrigin(({ path }, reply) => {
      if (path.startsWith('/reset')) return reply.reset()
      if (path.startsWith('/busy')) return reply.write(busy)
      return reply.write(path.startsWith('/flaky') && ++calls < 2 ? busy : ok)
    })
    await using client = testClient({ name: 'blob', retry: { backoff: { initial: 1 }, maxAttempts: 2 } })
    await using memory = metered(kind, client)
    const query = '/secret?token=secret'
    const call = async (at: string, init: FetchInit = {}): Promise<string> =>
      (await client.fetch(`${origin.url}${at}${query}`, { headers: { secret: 'secret' }, ...init })).text()
    await Promise.all([call('/a'), call('/b')])
    await call('/flaky')
    await call('/busy')
    await call('/c', { method: 'SECRET' })
    await expect(call('/reset', { method: 'POST' })).rejects.toThrow(TypeError)
    await (await client.fetch(origin.url)).body?.cancel()

    const durations = await memory.points('http.client.request.duration')
    const count = (attributes: Record<string, unknown>): number =>
      durations
        .filter((point) =>
          Object.entries(attributes).every(([key, value]) => point.attributes[key] === value),
        )
        .reduce((sum, { value }) => sum + (value as Histogram).count, 0)
    expect(count({})).toBe(origin.seen.length)
    expect(count({ 'http.response.status_code': 503, 'error.type': '503' })).toBe(3)
    expect(count({ 'http.request.method': '_OTHER', 'http.response.status_code': 200 })).toBe(1)
    expect(count({ 'http.response.status_code': undefined })).toBe(1)
    expect(count({ 'http.request.method': 'POST', 'error.type': undefined })).toBe(0)
    const retries = await memory.points('drained.retries')
    expect(valueOf(retries, { 'drained.retry.kind': 'retried' })).toBe(2)
    expect(valueOf(await memory.points('drained.retries.given_up'), { 'drained.reason': 'attempts' })).toBe(1)
    const [left] = await memory.points('drained.retries.budget')
    expect(left?.value).toBe(client.stats().retries.budget)
    expect(left?.value).toBeGreaterThan(5)
    // The second of the two at the start had to wait for the first.
    const waited = await memory.points('http.client.request.time_in_queue')
    expect(waited.some(({ attributes }) => attributes['http.request.method'] === 'GET')).toBe(true)

    const all = await memory.collect()
    expect([...all.keys()].toSorted(byText)).toEqual(
      [...measures, ...timings]
        .map(({ name }) => name)
        .filter((name) => all.has(name))
        .toSorted(byText),
    )
    expect(all.size).toBeGreaterThan(14)
    for (const [name, { dataPoints }] of all) {
      for (const { attributes } of dataPoints) {
        expect([...documented(name)], name).toEqual(expect.arrayContaining(Object.keys(attributes)))
        expect(JSON.stringify(attributes).toLowerCase(), name).not.toContain('secret')
      }
    }
  },
)

test('both ways tell the same', async () => {
  await using origin = await createOrigin((_, reply) => reply.write(ok))
  await using client = testClient({ name: 'blob' })
  await using one = metered('meterClients', client)
  await using other = metered('metricProducer', client)
  for (let i = 0; i < 20; i++) await (await client.fetch(origin.url)).text()
  const [left, right] = [await one.collect(), await other.collect()]
  expect([...left.keys()].toSorted(byText)).toEqual([...right.keys()].toSorted(byText))
  const plain = (data: MetricData | undefined): unknown =>
    data && {
      descriptor: { name: data.descriptor.name, unit: data.descriptor.unit },
      kind: data.dataPointType,
      monotonic: (data as { isMonotonic?: boolean }).isMonotonic,
      points: data.dataPoints.map(({ attributes, value }) => [
        attributes,
        typeof value === 'number'
          ? value
          : { buckets: (value as { buckets: unknown }).buckets, count: value.count },
      ]),
    }
  for (const name of left.keys()) expect(plain(right.get(name)), name).toEqual(plain(left.get(name)))
})

test('after stop nothing is recorded, and nobody listens', async () => {
  await using origin = await createOrigin((_, reply) => reply.write(ok))
  await using client = testClient({ name: 'blob' })
  await using memory = inMemory()
  const stop = meterClients(client, { meterProvider: memory.provider })
  const producer = metricProducer(client)
  stop()
  stop()
  producer.stop()
  await (await client.fetch(origin.url)).text()
  expect((await memory.collect()).size).toBe(0)
  for (const channel of ['drained:request', 'drained:body', 'drained:connection'])
    expect(diagnostics.channel(channel).hasSubscribers).toBe(false)
})

test('services and agents are told apart by name, and a client that is not metered is left out', async () => {
  await using origin = await createOrigin((_, reply) => reply.write(ok))
  await using services = createServices({ blob: { origin: origin.url }, default: {} })
  await using other = testClient({ name: 'other' })
  const agent = new DrainedAgent({ name: 'agent' })
  await using memory = metered('meterClients', [services, agent])
  await (await services.fetch(origin.url)).text()
  await (await other.fetch(origin.url)).text()
  await new Promise((resolve) =>
    http.get(origin.url, { agent }, (response) => response.resume().on('end', resolve)),
  )
  await until(() => agent.stats().bodies.read === 1, 'read')
  const points = await memory.points('drained.bodies')
  expect(points.map(({ attributes }) => attributes['drained.client']).toSorted(byText)).toEqual([
    'agent',
    'blob',
  ])
  const times = await memory.points('http.client.request.duration')
  expect(times.map(({ attributes }) => attributes['drained.client'])).toEqual(['blob'])
  agent.destroy()
  await until(() => agent.stats().sockets.open === 0, 'closed')
})

test('what cannot be metered is refused', async () => {
  await using one = testClient({ name: 'same' })
  await using two = testClient({ name: 'same' })
  expect(() => meterClients([one, two])).toThrow('Two of the sources are named same')
  expect(() => meterClients([])).toThrow('sources must not be empty')
  expect(() => meterClients({} as Client)).toThrow('sources must be clients')
  expect(() => meterClients(one, { provider: 1 } as object)).toThrow('did you mean meterProvider')
  expect(() => meterClients(one, { meterProvider: {} as never })).toThrow('must be a MeterProvider')
  expect(() => metricProducer([one, two])).toThrow(InvalidOptionError)
})

test('there is one message for each request, however it ends', async () => {
  const events: RequestEvent[] = []
  const listen = (event: unknown): void => void events.push(event as RequestEvent)
  diagnostics.subscribe('drained:request', listen)
  await using origin = await createOrigin(async ({ path }, reply) => {
    if (path === '/reset') return reply.reset()
    if (path === '/silent') return
    if (path === '/broken') {
      await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok')
      return reply.reset()
    }
    if (path === '/large') return reply.write('HTTP/1.1 200 OK\r\ncontent-length: 900000000\r\n\r\nok')
    return reply.write(ok)
  })
  await using client = testClient()
  const ended = async (path: string, init?: FetchInit): Promise<unknown> =>
    (await client.fetch(`${origin.url}${path}`, init)).text().catch((error: Error) => error)
  const aborted = new AbortController()
  await ended('/ok')
  await ended('/reset', { method: 'POST' }).catch(() => {})
  await ended('/broken')
  await ended('/silent', { timeout: { headers: 20 } }).catch(() => {})
  await (await client.fetch(`${origin.url}/large`)).body?.cancel()
  const silent = ended('/silent', { signal: aborted.signal }).catch(() => {})
  const queued = ended('/queued', { signal: aborted.signal }).catch(() => {})
  await until(() => client.stats().requests.waiting === 1, 'waiting')
  aborted.abort()
  await Promise.all([silent, queued])
  diagnostics.unsubscribe('drained:request', listen)
  // Node 22 hears of the end of the connection before it hears of its reset.
  const codeIn = (path: string, code = 'undefined'): string =>
    path === '/broken' && code === 'UND_ERR_SOCKET' ? 'ECONNRESET' : code
  expect(
    events.map(({ path, status, code }) => `${path} ${status} ${codeIn(path, code)}`).toSorted(byText),
  ).toEqual(
    [
      '/ok 200 undefined',
      '/reset undefined ECONNRESET',
      '/broken 200 ECONNRESET',
      '/silent undefined ERR_DRAINED_TIMEOUT',
      '/large 200 AbortError',
      '/silent undefined AbortError',
      '/queued undefined AbortError',
    ].toSorted(byText),
  )
  for (const { duration } of events) expect(duration).toBeGreaterThan(0)
})
