/** Services as a whole: none slows another, and they end together. */
import { setMaxListeners } from 'node:events'
import { expect, test } from 'vitest'
import { Agent } from 'undici'
import { createServices } from '../../src/index.ts'
import { createOrigin, type Script } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'
import { testServices } from '../support/services.ts'
import { until } from '../support/until.ts'

const reason = (error: unknown): unknown => error

/** Answers with a redirect to `/ok` of another origin. */
const away =
  (to: () => string): Script =>
  (seen, reply) =>
    seen.path === '/away'
      ? reply.write(`HTTP/1.1 302 Found\r\nlocation: ${to()}/ok\r\ncontent-length: 0\r\n\r\n`)
      : serveShapes(seen, reply)

for (const shape of ['endless trickle', 'endless and fast', 'stalled after the head']) {
  test(`a service whose only connection is held (${shape}) while calls wait for it slows no other`, async () => {
    await using a = await createOrigin(serveShapes)
    await using b = await createOrigin(away(() => a.url))
    await using services = testServices({
      a: { origin: a.url, connections: 1, drain: { stall: 60_000 } },
      b: { origin: b.url, connections: 4 },
    })
    const ending = new AbortController()
    setMaxListeners(0, ending.signal)
    const held = await services.fetch(`${a.url}/${encodeURIComponent(shape)}`)
    const waiting = Array.from({ length: 20 }, () =>
      services.fetch(`${a.url}/ok`, { signal: ending.signal }).catch(reason),
    )
    expect(services.stats().a.requests).toMatchObject({ waiting: 20, inFlight: 1 })

    for (let i = 0; i < 50; i++) {
      expect(await (await services.fetch(`${b.url}/ok`)).text()).toBe('ok')
      expect(services.stats().b.requests.waiting).toBe(0)
    }
    const answers = Array.from({ length: 250 }, async () => (await services.fetch(`${b.url}/ok`)).text())
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['ok']))
    expect(b.seen.length).toBe(300)
    expect(b.accepted).toBeLessThanOrEqual(4)

    // Not even a redirect to the origin of which all wait: it has a connection of its own there.
    expect(await (await services.fetch(`${b.url}/away`)).text()).toBe('ok')
    expect(a.seen.map(({ path, connection }) => [path, connection])).toEqual([
      [`/${encodeURIComponent(shape)}`, 0],
      ['/ok', 1],
    ])
    expect(services.stats().a.requests).toMatchObject({ waiting: 20, inFlight: 1 })
    ending.abort(new Error('enough'))
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => new Error('enough')))
    await held.body?.cancel()
  })
}

test('after close every service refuses, as a closed client does; it may be closed again', async () => {
  await using a = await createOrigin(serveShapes)
  await using b = await createOrigin(serveShapes)
  await using other = await createOrigin(serveShapes)
  const services = createServices({ a: { origin: a.url }, b: { origin: b.url }, default: {} })
  for (const { url } of [a, b, other]) await (await services.fetch(`${url}/ok`)).text()
  await Promise.all([services.close(), services.close()])
  await until(() => a.open + b.open + other.open === 0, 'connections closed')
  for (const { url } of [a, b, other]) {
    const error = await services.fetch(`${url}/ok`).catch(reason)
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).cause).toMatchObject({ code: 'UND_ERR_CLOSED' })
  }
  await expect(services.a.fetch('/ok')).rejects.toThrow('fetch failed')
  expect([a, b, other].map(({ seen }) => seen.length)).toEqual([1, 1, 1])
  await services.close()
  await services.destroy()
})

test('close waits for what is being read in any service', async () => {
  await using a = await createOrigin(serveShapes)
  const services = createServices({ a: { origin: a.url }, b: { origin: 'http://b' } })
  const reading = (await services.fetch(`${a.url}/64%20MiB`)).arrayBuffer()
  await services.close()
  expect((await reading).byteLength).toBe(64 * 1024 * 1024)
})

test('destroy gives its error to the readers of every service, while a close waits for them', async () => {
  await using a = await createOrigin(serveShapes)
  await using b = await createOrigin(serveShapes)
  const services = createServices({ a: { origin: a.url }, b: { origin: b.url } })
  const reading = [a, b].map(async ({ url }) => {
    const error = await (await services.fetch(`${url}/endless%20and%20fast`)).arrayBuffer().catch(reason)
    return (error as Error).cause
  })
  await until(() => a.bytesSent > 0 && b.bytesSent > 0, 'reading')
  await until(() => Object.values(services.stats()).every(({ bytes }) => bytes.read > 0), 'read')
  const closed = services.close()
  const gone = new Error('shutting down')
  await services.destroy(gone)
  expect(await Promise.all(reading)).toEqual([gone, gone])
  await closed
  await until(() => a.open + b.open === 0, 'connections closed')
  await services.destroy()
  await services.close()
})

test('await using closes every service', async () => {
  await using a = await createOrigin(serveShapes)
  await using b = await createOrigin(serveShapes)
  {
    await using services = createServices({ a: { origin: a.url }, b: { origin: b.url } })
    for (const { url } of [a, b]) await (await services.fetch(`${url}/ok`)).text()
    expect(a.open + b.open).toBe(2)
  }
  await until(() => a.open + b.open === 0, 'connections closed')
})

test('a service that cannot be closed keeps no other open; its error is what close rejects with', async () => {
  await using c = await createOrigin(serveShapes)
  const services = createServices({
    a: { origin: 'http://a' },
    b: { origin: 'http://b' },
    c: { origin: c.url },
  })
  await (await services.fetch(`${c.url}/ok`)).text()
  // undici refuses to close what is gone, here by way of the dispatcher below.
  await services.a.dispatcher.destroy()
  await expect(services.close()).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' })
  await until(() => c.open === 0, 'connection closed')
  await expect(services.close()).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' })

  const more = createServices({ a: { origin: 'http://a' }, b: { origin: 'http://b' } })
  await Promise.all([more.a.dispatcher.destroy(), more.b.dispatcher.destroy()])
  const error = await more.close().catch(reason)
  expect(error).toBeInstanceOf(AggregateError)
  expect((error as AggregateError).errors).toMatchObject([
    { code: 'UND_ERR_DESTROYED' },
    { code: 'UND_ERR_DESTROYED' },
  ])
})

test('a service that was closed by hand refuses alone, and all are closed as before', async () => {
  await using a = await createOrigin(serveShapes)
  await using b = await createOrigin(serveShapes)
  await using services = testServices({ a: { origin: a.url }, b: { origin: b.url } })
  await services.a.close()
  await expect(services.fetch(`${a.url}/ok`)).rejects.toThrow('fetch failed')
  expect(await (await services.fetch(`${b.url}/ok`)).text()).toBe('ok')
  await services.close()
  expect(b.seen.length).toBe(1)
})

test("a service on a dispatcher of the user's own routes as any other, and leaves it open", async () => {
  await using a = await createOrigin(serveShapes)
  const dispatcher = new Agent({ connections: 1 })
  const services = createServices({ a: { origin: a.url, dispatcher } })
  expect(await (await services.fetch(`${a.url}/ok`)).text()).toBe('ok')
  await services.close()
  expect(dispatcher.closed).toBe(false)
  await dispatcher.close()
})
