/** A kept connection that is dead when the next request is written to it: the request goes out again, and nobody notices. */
import diagnostics from 'node:diagnostics_channel'
import http2 from 'node:http2'
import type net from 'node:net'
import fc from 'fast-check'
import { type Dispatcher, fetch as undiciFetch, request } from 'undici'
import { expect, test } from 'vitest'
import type { Client, ConnectOptions } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { createHttp2Origin, tls } from '../support/h2.ts'
import { createOrigin, type Origin, type Reply, type Seen } from '../support/origin.ts'
import { createRecorder } from '../support/recorder.ts'
import { until } from '../support/until.ts'

const ok = (text: string): string => `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`
const closes = { FIN: (reply: Reply) => reply.end(), RST: (reply: Reply) => reply.reset() }
const ways = Object.entries(closes)

/** Answers the first request of each connection, and closes it as the second arrives. */
const onceEach = (close: (reply: Reply) => void): Promise<Origin> => {
  const served = new Set<number>()
  return createOrigin(async (seen, reply) => {
    if (served.has(seen.connection)) return close(reply)
    served.add(seen.connection)
    await reply.write(ok(`${seen.method} ${seen.path}`))
  })
}

type Get = (client: Client, url: string, method?: string, body?: string) => Promise<string>

/** The same request through every way that leads to the wire. */
const lanes: Record<string, Get> = {
  'short lane': async (client, url, method = 'GET', body) =>
    (await client.fetch(url, { method, body: body ?? null })).text(),
  'long lane': async (client, url, method = 'GET', body) =>
    (await client.fetch(url, { method, body: body ?? null, cache: 'no-cache' })).text(),
  'undici.fetch': async ({ dispatcher }, url, method = 'GET', body) =>
    (await undiciFetch(url, { dispatcher, method, body: body ?? null })).text(),
  'undici.request': async ({ dispatcher }, url, method = 'GET', body) =>
    (await request(url, { dispatcher, method, body: body ?? null })).body.text(),
}

for (const [lane, get] of Object.entries(lanes)) {
  for (const [way, close] of ways) {
    test(`${lane}: a connection closed by ${way} as the next request arrives costs a new one, and no error`, async () => {
      await using origin = await onceEach(close)
      await using client = testClient()
      for (let i = 0; i < 10; i++) expect(await get(client, `${origin.url}/${i}`)).toBe(`GET /${i}`)
      expect(origin.accepted).toBe(10)
      expect(client.stats().requests.resent).toBe(9)
      expect(client.stats().origins[origin.url]?.requests.resent).toBe(9)
    })
  }

  test(`${lane}: a POST whose body was sent is not sent again, and fails as ever`, async () => {
    await using origin = await onceEach(closes.RST)
    await using client = testClient()
    expect(await get(client, `${origin.url}/1`, 'POST', 'one')).toBe('POST /1')
    const error: unknown = await get(client, `${origin.url}/2`, 'POST', 'two').catch(
      (reason: unknown) => reason,
    )
    const cause = (error as { cause?: unknown }).cause ?? error
    expect((cause as { code?: string }).code).toMatch(/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/)
    expect(origin.seen.filter(({ path }) => path === '/2')).toHaveLength(1)
    expect(client.stats().requests.resent).toBe(0)
  })
}

test('a POST without a body may have been done, too, and is not sent again', async () => {
  await using origin = await onceEach(closes.FIN)
  await using client = testClient()
  for (const body of [undefined, '']) {
    await lanes['short lane']?.(client, `${origin.url}/1`)
    await expect(lanes['short lane']?.(client, `${origin.url}/2`, 'POST', body)).rejects.toThrow(
      'fetch failed',
    )
  }
  expect(client.stats().requests.resent).toBe(0)
})

test('an idempotent request is sent again with the same bytes: text, bytes or a Blob', async () => {
  const served = new Set<number>()
  await using origin = await createRecorder(async (seen, reply) => {
    await reply.whole
    if (served.has(seen.connection)) return reply.reset()
    served.add(seen.connection)
    reply.send(200, [], seen.body)
  })
  await using client = testClient()
  const large = 'large'.repeat(50_000)
  for (const body of ['text', Buffer.from('bytes'), new Blob([large]), large]) {
    const { body: answer } = await request(origin.url, {
      dispatcher: client.dispatcher,
      method: 'PUT',
      body: body as string,
    })
    expect(await answer.text()).toBe(body instanceof Blob ? large : body.toString())
  }
  expect(client.stats().requests.resent).toBe(3)
})

test('a stream is gone once it was sent, so its request fails even if idempotent', async () => {
  await using origin = await onceEach(closes.RST)
  await using client = testClient()
  const put = (): Promise<Response> =>
    client.fetch(`${origin.url}/put`, { method: 'PUT', body: new Blob(['x']).stream(), duplex: 'half' })
  expect(await (await put()).text()).toBe('PUT /put')
  await expect(put()).rejects.toThrow('fetch failed')
  expect(client.stats().requests.resent).toBe(0)
  expect(origin.seen).toHaveLength(2)
})

test('a first connection that dies is a failure, and so is the new one after a dead one', async () => {
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/first') return reply.write(ok('first'))
    reply.reset()
  })
  await using client = testClient()
  await expect(client.fetch(`${origin.url}/x`)).rejects.toThrow('fetch failed')
  expect([origin.seen.length, client.stats().requests.resent]).toEqual([1, 0])
  await (await client.fetch(`${origin.url}/first`)).text()
  await expect(client.fetch(`${origin.url}/x`)).rejects.toThrow('fetch failed')
  expect(origin.seen.map(({ path }) => path)).toEqual(['/x', '/first', '/x', '/x'])
  expect(client.stats().requests.resent).toBe(1)
})

for (const [what, bytes] of [
  ['a part of the head', 'HTTP/1.1 20'],
  ['an informational response', 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'],
  ['a part of the body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'],
  ['something that is no HTTP', 'nonsense\r\n\r\n'],
] as const) {
  test(`nothing is sent again after ${what} has come`, async () => {
    await using origin = await createOrigin(async (seen, reply) => {
      if (seen.path === '/first') return reply.write(ok('first'))
      await reply.write(bytes)
      reply.end()
    })
    await using client = testClient()
    await (await client.fetch(`${origin.url}/first`)).text()
    const answer = client.fetch(`${origin.url}/x`).then((response) => response.text())
    await expect(answer).rejects.toThrow(/fetch failed|terminated/)
    expect(origin.seen).toHaveLength(2)
    expect(client.stats().requests.resent).toBe(0)
  })
}

/** The second try is never answered. */
const hangsAfter = (): Promise<Origin> =>
  createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return reply.write(ok('ok'))
    if (seen.connection === 0) return reply.reset()
    await new Promise(() => {})
  })

for (const [lane, init] of [
  ['short lane', {}],
  ['long lane', { cache: 'no-cache' }],
] as const) {
  test(`${lane}: an abort during the second try ends the call with its reason, and the origin sees no third`, async () => {
    await using origin = await hangsAfter()
    await using client = testClient()
    await works(client, origin.url)
    const controller = new AbortController()
    const answer = client.fetch(`${origin.url}/x`, { ...init, signal: controller.signal })
    const rejected = expect(answer).rejects.toThrow('enough')
    await until(() => origin.seen.length === 3, 'sent twice')
    controller.abort(new Error('enough'))
    await rejected
    await works(client, origin.url)
    expect(origin.seen.map(({ path }) => path)).toEqual(['/ok', '/x', '/x', '/ok'])
  })

  test(`${lane}: the time limits of a call go on through the second try`, async () => {
    await using origin = await hangsAfter()
    await using client = testClient()
    for (const [timeout, phase] of [
      [{ headers: 80 }, 'headers'],
      [{ total: 80 }, 'total'],
    ] as const) {
      await works(client, origin.url)
      await expect(client.fetch(`${origin.url}/x`, { ...init, timeout })).rejects.toMatchObject({ phase })
    }
    expect(client.stats().requests.resent).toBeGreaterThan(0)
  })
}

test('undici.request is aborted during its second try', async () => {
  await using origin = await hangsAfter()
  await using client = testClient()
  await works(client, origin.url)
  const controller = new AbortController()
  const { dispatcher } = client
  const rejected = expect(
    request(`${origin.url}/x`, { dispatcher, signal: controller.signal }),
  ).rejects.toMatchObject({ name: 'AbortError' })
  await until(() => origin.seen.length === 3, 'sent twice')
  controller.abort()
  await rejected
})

test('a request given up while its second try waits for a connection ends at once, and the origin sees no second', async () => {
  await using origin = await onceEach(closes.RST)
  let connect: (() => void) | undefined
  let connects = 0
  const lookup = ((_: string, __: object, done: (error: null, addresses: object[]) => void) => {
    const go = (): void => done(null, [{ address: '127.0.0.1', family: 4 }])
    if (connects++ === 1) connect = go
    else go()
  }) as NonNullable<ConnectOptions['lookup']>
  await using client = testClient({ connect: { lookup, autoSelectFamily: true } })
  const url = `http://localhost:${origin.port}`
  expect(await (await client.fetch(`${url}/first`)).text()).toBe('GET /first')
  const heard: unknown[] = []
  let controller: Dispatcher.DispatchController | undefined
  client.dispatcher.dispatch(
    { origin: url, path: '/x', method: 'GET' },
    {
      onRequestStart: (given) => {
        heard.push('start')
        controller = given
      },
      onResponseStart: () => void heard.push('response'),
      onResponseError: (_, error) => void heard.push(error.message),
    },
  )
  await until(() => connect !== undefined, 'sent again')
  expect(client.stats().requests).toEqual({ waiting: 1, inFlight: 0, resent: 1 })
  controller?.abort(new Error('given up'))
  expect(heard).toEqual(['start', 'given up'])
  expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: 0 })
  const next = client.fetch(`${url}/next`)
  connect?.()
  expect(await (await next).text()).toBe('GET /next')
  expect(origin.seen.map(({ path }) => path)).toEqual(['/first', '/x', '/next'])
})

test('a request given up between a dead connection and its second try leaves its place in the pool to the next', async () => {
  await using origin = await onceEach(closes.RST)
  await using client = testClient()
  const controller = new AbortController()
  // Whoever listens behind undici comes between its report of the dead connection and the second try.
  const onConnected = (message: unknown): void => {
    const { socket } = message as { socket: net.Socket }
    socket.on('close', () => controller.abort(new Error('given up')))
  }
  diagnostics.subscribe('undici:client:connected', onConnected)
  try {
    expect(await (await client.fetch(`${origin.url}/1`)).text()).toBe('GET /1')
  } finally {
    diagnostics.unsubscribe('undici:client:connected', onConnected)
  }
  const { signal } = controller
  await expect(client.fetch(`${origin.url}/2`, { signal })).rejects.toThrow('given up')
  expect(client.stats().requests).toEqual({ waiting: 0, inFlight: 0, resent: 1 })
  expect(await (await client.fetch(`${origin.url}/3`)).text()).toBe('GET /3')
  expect(origin.seen.map(({ path }) => path)).toEqual(['/1', '/2', '/3'])
})

test('a client that is closing sends nothing again', async () => {
  let die: (() => void) | undefined
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/ok') return reply.write(ok('ok'))
    die = () => reply.reset()
    await new Promise(() => {})
  })
  await using client = testClient()
  await works(client, origin.url)
  const rejected = expect(client.fetch(`${origin.url}/x`)).rejects.toThrow('fetch failed')
  await until(() => die !== undefined, 'asked')
  const closed = client.close()
  die?.()
  await rejected
  await closed
  expect(client.stats().requests.resent).toBe(0)
})

test('HTTP/2: streams of a connection that dies are sent again on a new one', async () => {
  for (const code of [undefined, http2.constants.NGHTTP2_INTERNAL_ERROR]) {
    let sessions = 0
    await using origin = await createHttp2Origin((stream, path) => {
      if (path === '/x' && sessions++ === 0) {
        if (code === undefined) stream.session?.destroy()
        else stream.session?.goaway(code)
        return
      }
      if (stream.destroyed) return
      stream.respond({ ':status': 200 })
      stream.end(path)
    })
    await using client = testClient({ tls: { ca: tls.cert } })
    expect(await (await client.fetch(`${origin.url}/first`)).text()).toBe('/first')
    const answers = [1, 2, 3].map(async () => (await client.fetch(`${origin.url}/x`)).text())
    expect(await Promise.all(answers)).toEqual(['/x', '/x', '/x'])
    expect(client.stats().requests.resent).toBeGreaterThan(0)
    expect(origin.sessions).toBe(2)
  }
})

/** Closes idle connections at random moments, and some as the next request arrives; counts the answers to each request. */
async function createFickleOrigin(random: () => number): Promise<Origin & { answers: Map<string, number> }> {
  const answers = new Map<string, number>()
  const idle = new Map<number, NodeJS.Timeout>()
  const used = new Set<number>()
  const close = (reply: Reply): void => (random() < 0.5 ? reply.end() : reply.reset())
  const origin = await createOrigin(async (seen, reply) => {
    clearTimeout(idle.get(seen.connection))
    // It came after the FIN.
    if (!reply.isOpen) return
    if (used.has(seen.connection) && random() < 0.05) return close(reply)
    used.add(seen.connection)
    answers.set(seen.path, (answers.get(seen.path) ?? 0) + 1)
    await reply.write(ok(seen.path))
    idle.set(
      seen.connection,
      setTimeout(() => close(reply), random() * 60),
    )
  })
  return Object.assign(origin, { answers })
}

/** Park and Miller: the same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

test('10,000 requests to an origin that closes connections at random: none fails, none is answered twice', async () => {
  const seed = 1 + Math.floor(Math.random() * 1e9)
  const random = randomFrom(seed)
  await using origin = await createFickleOrigin(randomFrom(seed + 1))
  await using client = testClient({ connections: 20 })
  let next = 0
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    while (next < 10_000) {
      const path = `/${next++}`
      try {
        const response = await client.fetch(origin.url + path)
        if ((await response.text()) !== path) failures.push(`wrong answer to ${path}`)
      } catch (error) {
        failures.push((error as Error).cause)
      }
      // Now and then, long enough for the origin to close what is idle.
      if (random() < 0.02) await new Promise((resolve) => setTimeout(resolve, random() * 60))
    }
  }
  await Promise.all(Array.from({ length: 20 }, worker))
  expect(failures, `seed ${seed}`).toEqual([])
  expect(origin.answers.size).toBe(10_000)
  expect([...origin.answers.values()].every((count) => count === 1)).toBe(true)
  expect(client.stats().requests.resent).toBeGreaterThan(0)
}, 60_000)

test('whatever dies when: idempotent requests are answered, others fail at most once per death and are seen once', async () => {
  const step = fc.record({
    method: fc.constantFrom('GET', 'PUT', 'DELETE', 'QUERY', 'POST', 'PATCH'),
    body: fc.constantFrom(undefined, '', 'body'),
    dies: fc.constantFrom('never', 'FIN', 'RST'),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 12 }),
      fc.integer({ min: 1, max: 4 }),
      async (steps, connections) => {
        const used = new Set<number>()
        const spent = new Set<string>()
        const sent = (seen: Seen): (typeof steps)[number] | undefined => steps[Number(seen.path.slice(1))]
        await using origin = await createOrigin(async (seen, reply) => {
          const { dies } = sent(seen) ?? { dies: 'never' }
          // Only on a connection in use, and as often as there are such.
          if (dies !== 'never' && used.has(seen.connection)) {
            spent.add(seen.path)
            return closes[dies](reply)
          }
          used.add(seen.connection)
          await reply.write(ok(seen.path))
        })
        await using client = testClient({ connections })
        const results = await Promise.allSettled(
          steps.map(async ({ method, body }, i) => {
            const { dispatcher } = client
            const given = method === 'GET' ? null : (body ?? null)
            const answer = await request(`${origin.url}/${i}`, {
              dispatcher,
              method: method as 'GET',
              body: given,
            })
            return answer.body.text()
          }),
        )
        results.forEach((result, i) => {
          const isIdempotent = !['POST', 'PATCH'].includes(steps[i]?.method ?? '')
          const times = origin.seen.filter(({ path }) => path === `/${i}`).length
          if (isIdempotent || !spent.has(`/${i}`)) expect(result).toMatchObject({ value: `/${i}` })
          else expect([result.status, times]).toEqual(['rejected', 1])
        })
      },
    ),
    { numRuns: 60 },
  )
})
