/** The policies on real sockets: what reaches the service, on how many connections, and that nothing is left. */
import { describe, expect, test } from 'vitest'
import { azureStorage, gcs, s3 } from '../../../src/storage.ts'
import { testClient } from '../../support/client.ts'
import { createOrigin, type Origin, type Script, type Seen } from '../../support/origin.ts'
import { until } from '../../support/until.ts'
import { s3Error } from './support.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

const answer = (status: number, body = '', headers = ''): string =>
  `HTTP/1.1 ${status} x\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`

/** Answers one after another; the last one repeats itself. */
const answers = (...all: readonly string[]): Script => {
  let next = 0
  return (_, reply) => reply.write(all[Math.min(next++, all.length - 1)] as string)
}
const header = ({ headers }: Seen, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(headers)?.[1]
const all = (origin: Origin, name: string): unknown[] => origin.seen.map((seen) => header(seen, name))

const soon = { initial: 1, max: 5 }
const busy = answer(503, '<Error/>'.repeat(100), 'x-ms-error-code: ServerBusy\r\n')

describe('azureStorage()', () => {
  test('sends a call again as it was, on the same connection', async () => {
    await using origin = await createOrigin(answers(busy, busy, answer(201)))
    await using client = testClient({ retry: azureStorage({ backoff: soon }) })
    const response = await client.fetch(`${origin.url}/box/item?comp=block&sig=s`, {
      method: 'PUT',
      headers: { 'x-ms-client-request-id': 'mine', authorization: 'SharedKey a:b' },
      body: 'content',
    })
    expect(response.status).toBe(201)
    expect(origin.accepted).toBe(1)
    expect(origin.seen.map(({ method, path }) => `${method} ${path}`)).toEqual(
      Array.from({ length: 3 }, () => 'PUT /box/item?comp=block&sig=s'),
    )
    expect(all(origin, 'x-ms-client-request-id')).toEqual(['mine', 'mine', 'mine'])
    expect(all(origin, 'authorization')).toEqual(Array.from({ length: 3 }, () => 'sharedkey a:b'))
    expect(all(origin, 'content-length')).toEqual(['7', '7', '7'])
    expect(client.stats().retries).toMatchObject({ made: 2, gaveUp: { attempts: 0 } })
  })

  test('makes no x-ms-client-request-id of its own: it would not be in the signature', async () => {
    await using origin = await createOrigin(answers(busy, answer(200)))
    await using client = testClient({ retry: azureStorage({ backoff: soon }) })
    await client.fetch(origin.url)
    expect(all(origin, 'x-ms-client-request-id')).toEqual([undefined, undefined])
  })

  test('reads at the secondary, and no more once that has answered 404: one connection to each', async () => {
    await using primary = await createOrigin(answers(busy, busy, answer(200, 'ok')))
    await using secondary = await createOrigin(answers(answer(404, 'not yet')))
    const retry = azureStorage({ secondary: `127.0.0.1:${secondary.port}`, backoff: soon })
    await using client = testClient({ origin: primary.url, retry })
    const response = await client.fetch('/box/item?sig=s', {
      headers: { 'x-ms-client-request-id': 'mine', authorization: 'SharedKey a:b' },
    })
    expect(await response.text()).toBe('ok')
    expect(all(primary, 'host')).toEqual(Array.from({ length: 3 }, () => `127.0.0.1:${primary.port}`))
    expect(all(secondary, 'host')).toEqual([`127.0.0.1:${secondary.port}`])
    for (const seen of [...primary.seen, ...secondary.seen]) {
      expect(seen.path).toBe('/box/item?sig=s')
      expect(header(seen, 'x-ms-client-request-id')).toBe('mine')
      expect(header(seen, 'authorization')).toBe('sharedkey a:b')
    }
    expect([primary.accepted, secondary.accepted]).toEqual([1, 1])
  })

  test('reads at the secondary what the primary breaks off; writes stay', async () => {
    await using primary = await createOrigin((_, reply) => reply.reset())
    await using secondary = await createOrigin(answers(answer(200, 'copy')))
    const retry = azureStorage({ secondary: `127.0.0.1:${secondary.port}`, backoff: soon, maxAttempts: 2 })
    await using client = testClient({ retry })
    const read = await client.fetch(new Request(`${primary.url}/box/item`))
    expect(await read.text()).toBe('copy')
    expect(read.url).toBe(`${secondary.url}/box/item`)
    await expect(client.fetch(`${primary.url}/box/item`, { method: 'DELETE' })).rejects.toMatchObject({
      attempts: 2,
    })
    expect(secondary.seen).toHaveLength(1)
  })

  test('hands out the last answer when attempts are over, and says so', async () => {
    await using origin = await createOrigin(answers(busy))
    const told: number[] = []
    const retry = azureStorage({ backoff: soon, onRetry: ({ wait }) => told.push(wait) })
    await using client = testClient({ retry })
    const response = await client.fetch(origin.url)
    expect(response.headers.get('x-ms-error-code')).toBe('ServerBusy')
    expect(await response.text()).toContain('<Error/>')
    expect(told).toEqual([0, 1, 3])
    expect(origin.accepted).toBe(1)
    expect(client.stats().retries).toMatchObject({ made: 3, gaveUp: { attempts: 1 } })
  })

  test('an outage sees little more than the calls, unless budget is false', async () => {
    const attempts = async (budget?: false): Promise<number> => {
      await using origin = await createOrigin(answers(answer(500)))
      const options = { backoff: { initial: 0 }, ...(budget === false ? { budget } : {}) }
      await using client = testClient({ retry: azureStorage(options) })
      for (let call = 0; call < 50; call++) await client.fetch(origin.url)
      return origin.seen.length
    }
    expect(await attempts(false)).toBe(200)
    expect(await attempts()).toBeLessThanOrEqual(50 + 10 + 10)
  })

  test('a call may have fewer attempts, or one', async () => {
    await using origin = await createOrigin(answers(answer(500)))
    await using client = testClient({ retry: azureStorage({ backoff: soon }) })
    await client.fetch(origin.url, { retry: 2 })
    expect(origin.seen).toHaveLength(2)
    await client.fetch(origin.url, { retry: false })
    expect(origin.seen).toHaveLength(3)
  })

  test('a call that is aborted while it waits ends with the reason of its caller', async () => {
    await using origin = await createOrigin(answers(busy))
    const caller = new AbortController()
    const reason = new Error('no more')
    await using client = testClient({
      retry: azureStorage({ onRetry: ({ attempt }) => attempt === 2 && caller.abort(reason) }),
    })
    await expect(client.fetch(origin.url, { signal: caller.signal })).rejects.toBe(reason)
    expect(origin.seen).toHaveLength(2)
  })
})

describe('s3()', () => {
  const quick = { initial: 1, throttled: 1, max: 2 }

  test('reads the code of a 400 that comes in parts, and sends the call again on the same connection', async () => {
    const body = s3Error('RequestTimeout')
    let isFirst = true
    await using origin = await createOrigin(async (_, reply) => {
      if (!isFirst) return reply.write(answer(200, 'ok'))
      isFirst = false
      await reply.write(`HTTP/1.1 400 x\r\ntransfer-encoding: chunked\r\n\r\n`)
      await new Promise((resolve) => setTimeout(resolve, 20))
      await reply.write(`14\r\n${body.slice(0, 20)}\r\n`)
      await new Promise((resolve) => setTimeout(resolve, 20))
      await reply.write(`${(body.length - 20).toString(16)}\r\n${body.slice(20)}\r\n0\r\n\r\n`)
    })
    await using client = testClient({ retry: s3({ backoff: quick }) })
    const response = await client.fetch(`${origin.url}/item`, { method: 'PUT', body: 'content' })
    expect(await response.text()).toBe('ok')
    expect(origin.seen).toHaveLength(2)
    expect(origin.accepted).toBe(1)
  })

  test.each([s3Error('InvalidArgument'), '', 'x'.repeat(3_000_000)])(
    'hands out another 400 with its whole body (%#)',
    async (body) => {
      await using origin = await createOrigin(answers(answer(400, body)))
      await using client = testClient({ retry: s3() })
      const response = await client.fetch(origin.url)
      expect((await response.text()) === body).toBe(true)
      expect(origin.seen).toHaveLength(1)
    },
  )

  test('a large body of an answer that is retried is given up', async () => {
    await using origin = await createOrigin(answers(answer(503, 'x'.repeat(3_000_000)), answer(200, 'ok')))
    await using client = testClient({ retry: s3({ backoff: quick }) })
    expect(await (await client.fetch(origin.url)).text()).toBe('ok')
    await until(() => client.stats().bodies.open === 0, 'no body left')
  })

  test('a body that breaks off while its code is looked for is as good as none', async () => {
    let isFirst = true
    await using origin = await createOrigin(async (_, reply) => {
      if (!isFirst) return reply.write(answer(200, 'ok'))
      isFirst = false
      await reply.write('HTTP/1.1 503 x\r\ncontent-length: 1000\r\n\r\n<Error>')
      await new Promise((resolve) => setTimeout(resolve, 20))
      reply.reset()
    })
    await using client = testClient({ retry: s3({ backoff: quick }) })
    expect(await (await client.fetch(origin.url)).text()).toBe('ok')
    expect(origin.accepted).toBe(2)
  })

  test('a call that is aborted while its code is looked for ends at once, with the reason of its caller', async () => {
    const caller = new AbortController()
    const reason = new Error('no more')
    await using origin = await createOrigin((_, reply) =>
      reply.write('HTTP/1.1 503 x\r\ncontent-length: 1000\r\n\r\n<Error>'),
    )
    await using client = testClient({ retry: s3({ backoff: quick }), drain: { maxTime: 50 } })
    const call = client.fetch(origin.url, { signal: caller.signal })
    await until(() => client.stats().bodies.open === 1, 'the head is here')
    caller.abort(reason)
    await expect(call).rejects.toBe(reason)
    expect(origin.seen).toHaveLength(1)
  })

  test('a copy whose 200 turns out to be an error is made again', async () => {
    await using origin = await createOrigin(
      answers(answer(200, s3Error('InternalError')), answer(200), answer(200, '<CopyObjectResult/>')),
    )
    await using client = testClient({ retry: s3({ backoff: quick }) })
    const init = { method: 'PUT', headers: { 'x-amz-copy-source': '/box/other' } }
    expect(await (await client.fetch(`${origin.url}/item`, init)).text()).toBe('<CopyObjectResult/>')
    expect(origin.seen).toHaveLength(3)
    expect(origin.accepted).toBe(1)
  })

  test('an outage sees 35 retries; then calls are sent once until some succeed', async () => {
    let isDown = true
    await using origin = await createOrigin((_, reply) => reply.write(answer(isDown ? 500 : 200)))
    await using client = testClient({ retry: s3({ backoff: { initial: 0 } }) })
    for (let call = 0; call < 60; call++) await client.fetch(origin.url)
    expect(origin.seen).toHaveLength(60 + 35)
    expect(client.stats().retries.gaveUp).toMatchObject({ attempts: 17, budget: 43 })
    isDown = false
    // Ten tokens are left of 500, each of these gives one, and a retry costs 14.
    for (let call = 0; call < 3; call++) await client.fetch(origin.url)
    isDown = true
    await client.fetch(origin.url)
    expect(origin.seen).toHaveLength(95 + 3 + 1)
    isDown = false
    await client.fetch(origin.url)
    isDown = true
    await client.fetch(origin.url)
    expect(origin.seen).toHaveLength(99 + 1 + 2)
    expect(origin.accepted).toBe(1)
  })
})

describe('gcs()', () => {
  test('sends an upload again if it names the generation it replaces', async () => {
    await using origin = await createOrigin(answers(answer(503, 'later'), answer(200, '{}')))
    await using client = testClient({ retry: gcs({ backoff: soon }) })
    const path = `${origin.url}/upload/storage/v1/b/box/o?uploadType=media&name=x`
    const init = { method: 'POST', body: 'content' }
    const response = await client.fetch(`${path}&ifGenerationMatch=0`, init)
    expect(await response.text()).toBe('{}')
    expect(all(origin, 'content-length')).toEqual(['7', '7'])
    expect(origin.accepted).toBe(1)
  })

  test('sends it once if not', async () => {
    await using origin = await createOrigin(answers(answer(503, 'later')))
    await using client = testClient({ retry: gcs({ backoff: soon }) })
    const path = `${origin.url}/upload/storage/v1/b/box/o?uploadType=media&name=x`
    expect(await (await client.fetch(path, { method: 'POST', body: 'content' })).text()).toBe('later')
    expect(origin.seen).toHaveLength(1)
  })

  test('hands the answer out at once if it asks for a longer wait than is wanted', async () => {
    await using origin = await createOrigin(answers(answer(429, 'slow', 'retry-after: 61\r\n')))
    await using client = testClient({ retry: gcs() })
    expect((await client.fetch(`${origin.url}/storage/v1/b/box/o`)).status).toBe(429)
    expect(origin.seen).toHaveLength(1)
    expect(client.stats().retries.gaveUp['retry-after']).toBe(1)
  })
})
