/** The instruments, with the real SDK: what they count, by which attributes, and that nothing else is in them. */
import { expect, test } from 'vitest'
import { meterClients } from '../../src/adapters/metrics.ts'
import { DrainedAgent } from '../../src/adapters/node-http.ts'
import { createServices } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'
import { inMemory, valueOf } from './support.ts'

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

interface Histogram {
  readonly count: number
  readonly sum: number
}

test('a call is one request, one body and one active connection, with the attributes of the conventions', async () => {
  await using origin = await createOrigin((_, reply) => reply.write(ok))
  await using client = testClient({ name: 'blob' })
  await using memory = inMemory()
  using _ = meterClients(client, { meterProvider: memory.provider })
  const response = await client.fetch(`${origin.url}/secret/path?sig=secret`, { method: 'PUT', body: 'x' })
  expect(await response.text()).toBe('ok')

  const server = { 'server.address': '127.0.0.1', 'server.port': origin.port, 'url.scheme': 'http' }
  const common = { 'drained.client': 'blob', ...server }
  const [duration, ...others] = await memory.points('http.client.request.duration')
  expect(others).toEqual([])
  expect(duration?.attributes).toEqual({
    ...common,
    'http.request.method': 'PUT',
    'http.response.status_code': 200,
    'network.protocol.version': '1.1',
  })
  expect(duration?.value).toMatchObject({ count: 1 })
  expect((duration?.value as Histogram).sum).toBeLessThan(20)
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
