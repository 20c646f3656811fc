/** Traces come from the instrumentation of undici: what it makes of the calls of a client. */
import { context, trace } from '@opentelemetry/api'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { testClient } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register()
const instrumentation = new UndiciInstrumentation()
instrumentation.setTracerProvider(provider)

beforeEach(() => exporter.reset())
afterAll(async () => {
  instrumentation.disable()
  await provider.shutdown()
  trace.disable()
  context.disable()
})

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const busy = 'HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy'
const tracer = provider.getTracer('test')

/** Runs `work` as the only thing in a span; its id. */
async function inSpan(name: string, work: () => Promise<unknown>): Promise<string> {
  return tracer.startActiveSpan(name, async (span) => {
    await work()
    span.end()
    return span.spanContext().spanId
  })
}

/** The spans of requests, in the order of their ends. */
async function requests(count: number): Promise<ReadableSpan[]> {
  const made = (): ReadableSpan[] => exporter.getFinishedSpans().filter(({ name }) => name === 'GET')
  await until(() => made().length === count, `${count} spans`)
  return made()
}

test.each([
  ['short', {}],
  ['long', { window: null }],
])('a call on the %s lane is a span of its caller, and the origin is told of it', async (_, init) => {
  await using origin = await createOrigin((_, reply) => reply.write(ok))
  await using client = testClient()
  const parent = await inSpan('caller', async () => (await client.fetch(`${origin.url}/x`, init)).text())
  const [span] = await requests(1)
  expect(span?.parentSpanContext?.spanId).toBe(parent)
  expect(span?.attributes).toMatchObject({
    'http.request.method': 'GET',
    'http.response.status_code': 200,
    'network.protocol.version': '1.1',
    'server.address': '127.0.0.1',
    'server.port': origin.port,
    'url.path': '/x',
  })
  expect(origin.seen[0]?.headers).toContain(`traceparent: 00-${span?.spanContext().traceId}`)
})

test('each attempt is a span of the one caller; none says which attempt it is', async () => {
  let calls = 0
  await using origin = await createOrigin((_, reply) => reply.write(++calls < 3 ? busy : ok))
  await using client = testClient({ retry: { backoff: { initial: 1 } } })
  const parent = await inSpan('caller', async () => (await client.fetch(origin.url)).text())
  const spans = await requests(3)
  expect(spans.map(({ attributes }) => attributes['http.response.status_code'])).toEqual([503, 503, 200])
  expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual(['503', '503', undefined])
  expect(spans.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([parent, parent, parent])
  expect(spans.map(({ attributes }) => attributes['http.request.resend_count'])).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('a request that has waited for a connection is a span of its own caller, not of who had the connection', async () => {
  await using origin = await createOrigin((_, reply) => reply.write(ok))
  await using client = testClient({ connections: 1 })
  const parents = await Promise.all(
    [1, 2, 3, 4].map((n) =>
      inSpan(`caller ${n}`, async () => (await client.fetch(`${origin.url}/${n}`)).text()),
    ),
  )
  const spans = await requests(4)
  const parentOf = Object.fromEntries(
    spans.map(({ attributes, parentSpanContext }) => [attributes['url.path'], parentSpanContext?.spanId]),
  )
  expect(parentOf).toEqual(Object.fromEntries(parents.map((id, i) => [`/${i + 1}`, id])))
  expect(origin.accepted).toBe(1)
})

test('a request that is sent again because its kept connection was dead is a span of its own caller', async () => {
  await using origin = await createOrigin(({ path, connection }, reply) =>
    path === '/again' && connection === 0 ? reply.reset() : reply.write(ok),
  )
  await using client = testClient()
  await inSpan('first', async () => (await client.fetch(origin.url)).text())
  const parent = await inSpan('second', async () => (await client.fetch(`${origin.url}/again`)).text())
  expect(client.stats().requests.resent).toBe(1)
  const [, failed, sent] = await requests(3)
  expect([failed, sent].map((span) => span?.parentSpanContext?.spanId)).toEqual([parent, parent])
  expect(sent?.attributes['http.response.status_code']).toBe(200)
})
