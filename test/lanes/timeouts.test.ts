/** Time limits: each part of a call has its own, and none is left behind when the call is over. Both lanes. */
import { Agent } from 'undici'
import { expect, test } from 'vitest'
import { TimeoutError, type TimeoutOptions } from '../../src/index.ts'
import { bothLanes as lanes, testClient, works } from '../support/client.ts'
import { createOrigin, type Script } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'
import { turns, watchTimers, watchWarnings } from '../support/timers.ts'
import { until, untilCollected } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const head = 'HTTP/1.1 200 OK\r\n'
const never = new Promise<void>(() => {})
/** Far longer than the limits it is held against. */
const late = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 300))

const serve: Script = async (seen, reply) => {
  if (seen.path.startsWith('/silent')) return never
  if (seen.path === '/moved-to-silence') {
    await reply.write('HTTP/1.1 302 Found\r\nlocation: /silent\r\ncontent-length: 0\r\n\r\n')
    return
  }
  if (seen.path === '/nearly') {
    await reply.write(`${head}content-length: 7\r\n\r\nfirst`)
    return never
  }
  if (seen.path.startsWith('/stalls')) {
    await reply.write(`${head}content-length: 2000000\r\n\r\nfirst`)
    return never
  }
  if (seen.path === '/cut') {
    await reply.write(`${head}content-length: 2000000\r\n\r\nfirst`)
    reply.reset()
    return
  }
  if (seen.path === '/late-headers') {
    await late()
    return reply.write(`${head}content-length: 4\r\n\r\nlate`)
  }
  if (seen.path === '/late-body') {
    await reply.write(`${head}content-length: 4\r\n\r\nla`)
    await late()
    return reply.write('te')
  }
  await serveShapes(seen, reply)
}

for (const [lane, init, options] of [
  ...lanes.map(([lane, init]) => [lane, init, {}] as const),
  ['a fetch of somebody else', {}, { fetch: globalThis.fetch, connections: undefined as never }] as const,
]) {
  for (const limit of ['total', 'body'] as const) {
    test(`${lane}: a body that has arrived is not ended by timeout.${limit}, however late it is read`, async () => {
      await using origin = await createOrigin(serve)
      await using client = testClient(options)
      using timers = watchTimers(40_000, 50_001)
      const fetch = (): Promise<Response> =>
        client.fetch(`${origin.url}/ok`, { ...init, timeout: { [limit]: 50_000 } })
      const responses = [await fetch(), await fetch(), await fetch()] as const
      await until(() => client.stats().requests.inFlight === 0, 'arrived')
      await until(() => timers.pending() === 0, 'no timer is left that could end them')
      if (limit === 'total') expect(timers.made()).toBeGreaterThanOrEqual(3)
      const [first, second, third] = responses
      expect(await first.text()).toBe('ok')
      expect(await new Response(second.body).text()).toBe('ok')
      const clone = third.clone()
      expect([await third.text(), await clone.text()]).toEqual(['ok', 'ok'])
    })
  }
}

for (const [lane, init] of lanes) {
  test(`${lane}: headers that do not come end the call with the phase, and free the pool`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient()
    const error: unknown = await client
      .fetch(`${origin.url}/silent?sig=hunter2`, { ...init, timeout: { headers: 60 } })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TimeoutError)
    expect(error).toMatchObject({
      name: 'TimeoutError',
      code: 'ERR_DRAINED_TIMEOUT',
      phase: 'headers',
      limit: 60,
    })
    expect((error as Error).message).toBe(
      `GET ${origin.url}/silent?sig=*** took longer than the 60 ms of timeout.headers`,
    )
    await works(client, origin.url)
  })

  test(`${lane}: a body that has stalled is not drained: nothing of it would come`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ drain: { maxTime: 15_000 } })
    const response = await client.fetch(`${origin.url}/nearly`, { ...init, timeout: { body: 60 } })
    await expect(response.text()).rejects.toMatchObject({ phase: 'body' })
    expect(client.stats().bodies.reasons).toEqual({ time: 1 })
    await works(client, origin.url)
  })

  test(`${lane}: a request that waits for a connection too long ends in phase queue, and is never sent`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient()
    const stuck = await client.fetch(`${origin.url}/stalls`, init)
    const waiting = client.fetch(`${origin.url}/late`, { ...init, timeout: { queue: 60 } })
    await expect(waiting).rejects.toMatchObject({ phase: 'queue', limit: 60 })
    await stuck.body?.cancel()
    await works(client, origin.url)
    expect(origin.seen.map(({ path }) => path)).toEqual(['/stalls', '/ok'])
  })

  test(`${lane}: a body that stalls while it is read fails; the same body unread has no such limit`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ connections: 2 })
    const limited = { ...init, timeout: { body: 60 } }
    const unread = await client.fetch(`${origin.url}/stalls/unread`, limited)
    const read = await client.fetch(`${origin.url}/stalls/read`, limited)
    await expect(read.text()).rejects.toMatchObject({ name: 'TimeoutError', phase: 'body' })
    const reader = unread.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first')
    await expect(reader?.read()).rejects.toMatchObject({ phase: 'body' })
    await works(client, origin.url)
  })

  test(`${lane}: between two reads nobody waits, so the body may be as late as it likes`, async () => {
    let go: (() => void) | undefined
    await using origin = await createOrigin(async (seen, reply) => {
      if (seen.path === '/ok') return serveShapes(seen, reply)
      await reply.write(`${head}content-length: 10\r\n\r\nfirst`)
      await new Promise<void>((resolve) => (go = resolve))
      await reply.write('again')
    })
    await using client = testClient({ timeout: { body: 1_000 } })
    const { body } = await client.fetch(`${origin.url}/two`, init)
    const reader = (body as ReadableStream<Uint8Array>).getReader()
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('first')
    // Longer than the limit, in which nothing can be seen to happen.
    await new Promise((resolve) => setTimeout(resolve, 1_300))
    const second = reader.read()
    go?.()
    expect(Buffer.from((await second).value ?? []).toString()).toBe('again')
    expect((await reader.read()).done).toBe(true)
    await works(client, origin.url)
  })

  test(`${lane}: total counts redirects, headers and body together, and goes on after the headers`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ connections: 2, timeout: { headers: 10_000 } })
    await expect(
      client.fetch(`${origin.url}/moved-to-silence`, { ...init, timeout: 60 }),
    ).rejects.toMatchObject({ phase: 'total', limit: 60 })
    // Its headers come in time.
    const response = await client.fetch(`${origin.url}/stalls`, { ...init, timeout: { total: 1_000 } })
    await expect(response.text()).rejects.toMatchObject({ phase: 'total' })
    await works(client, origin.url)
  })

  test(`${lane}: a connection that is not made in time ends in phase connect`, async () => {
    // It takes connections and never answers the handshake.
    await using mute = await createOrigin(() => never)
    await using client = testClient({ timeout: { connect: 100 } })
    const error: unknown = await client
      .fetch(`https://127.0.0.1:${mute.port}/`, init)
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'TimeoutError', phase: 'connect', limit: 100 })
    expect((error as Error).cause).toMatchObject({ code: 'UND_ERR_CONNECT_TIMEOUT' })
  })

  test(`${lane}: limits keep no process alive`, async () => {
    await using origin = await createOrigin(serve)
    const limits = { queue: 5_000, headers: 5_000, body: 5_000, total: 5_000 }
    await using client = testClient({ timeout: limits })
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    await works(client, origin.url)
    const before = timers()
    for (let i = 0; i < 20; i++) {
      const response = await client.fetch(`${origin.url}/ok`, init)
      expect(timers()).toBeLessThanOrEqual(before)
      expect(await response.text()).toBe('ok')
    }
  })

  const ends: Record<string, (response: Response) => unknown> = {
    read: (response) => response.text(),
    'read as a stream': (response) => new Response(response.body).text(),
    'arrived, and left unread': () => {},
    cancelled: (response) => response.body?.cancel(),
    'disposed of': (response) => (response as Response & AsyncDisposable)[Symbol.asyncDispose](),
    failed: (response) => response.text().catch(() => {}),
  }
  for (const [how, end] of Object.entries(ends)) {
    test(`${lane}: calls whose body is ${how} leave no timer`, async () => {
      const path = how === 'failed' ? '/cut' : /cancelled|disposed/.test(how) ? '/64 MiB' : '/ok'
      await using origin = await createOrigin(serve)
      const limits = { queue: 50_000, headers: 50_000, body: 50_000, total: 50_000 }
      await using client = testClient({ timeout: limits })
      using timers = watchTimers(40_000, 50_001)
      const responses: Response[] = []
      for (let i = 0; i < 5; i++) {
        const response = await client.fetch(origin.url + path, init)
        responses.push(response)
        await end(response)
        await until(() => client.stats().requests.inFlight === 0, 'the wire is done')
      }
      await until(() => timers.pending() === 0, 'no timer is left')
      expect(timers.made()).toBeGreaterThanOrEqual(5)
      for (const response of responses) await response.body?.cancel().catch(() => {})
    })
  }

  test(`${lane}: a call whose body was collected leaves no timer`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ timeout: { total: 50_000 } })
    using timers = watchTimers(40_000, 50_001)
    await (async () => expect((await client.fetch(`${origin.url}/stalls`, init)).status).toBe(200))()
    expect(timers.pending()).toBe(1)
    await untilCollected(() => timers.pending() === 0, 'no timer is left')
  })

  const taken = [
    ['headers', '/late-headers'],
    ['attempt', '/late-headers'],
    ['body', '/late-body'],
    ['total', '/late-headers'],
    ['total', '/late-body'],
  ] as const
  for (const [limit, path] of taken) {
    test(`${lane}: 0 and Infinity of a call take the limit ${limit} of its client away (${path})`, async () => {
      await using origin = await createOrigin(serve)
      await using client = testClient({ timeout: { [limit]: 60 } })
      const read = async (timeout?: number | TimeoutOptions): Promise<string> => {
        const given = timeout === undefined ? init : { ...init, timeout }
        return (await client.fetch(origin.url + path, given)).text()
      }
      await expect(read()).rejects.toSatisfy(
        (error: Error) =>
          (error instanceof TimeoutError ? error : (error.cause as TimeoutError)).phase === limit,
      )
      expect(await read({ [limit]: 0 })).toBe('late')
      expect(await read({ [limit]: Infinity })).toBe('late')
      if (limit === 'total') expect([await read(0), await read(Infinity)]).toEqual(['late', 'late'])
      // Others of the call do not bring it back, nor take it away.
      await expect(read({ queue: 0 })).rejects.toThrow()
      expect(await read({ [limit]: 0, queue: 5_000 })).toBe('late')
    })
  }

  test(`${lane}: 0 and Infinity of a call take the limit queue of its client away`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ connections: 1, timeout: { queue: 60 } })
    for (const queue of [0, Infinity]) {
      const unlimited = { ...init, timeout: { queue } }
      const stuck = await client.fetch(`${origin.url}/stalls`, unlimited)
      const waiting = client.fetch(`${origin.url}/ok`, unlimited)
      await expect(client.fetch(`${origin.url}/ok`, init)).rejects.toMatchObject({
        phase: 'queue',
        limit: 60,
      })
      await stuck.body?.cancel()
      expect(await (await waiting).text()).toBe('ok')
    }
  })

  test(`${lane}: a call without the total of its client may wait longer for its next attempt`, async () => {
    const asked = new Set<string>()
    await using origin = await createOrigin(({ path }, reply) => {
      if (asked.has(path)) return reply.write(`${head}content-length: 2\r\n\r\nok`)
      asked.add(path)
      return reply.write('HTTP/1.1 503 Busy\r\nretry-after-ms: 1200\r\ncontent-length: 0\r\n\r\n')
    })
    const retry = { backoff: { initial: 1 } }
    await using client = testClient({ connections: 3, retry, timeout: { total: 1_000 } })
    expect((await client.fetch(`${origin.url}/limited`, init)).status).toBe(503)
    const unlimited = [0, Infinity, { total: 0 }].map((timeout, at) =>
      client.fetch(`${origin.url}/${at}`, { ...init, timeout }),
    )
    expect((await Promise.all(unlimited)).map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test(`${lane}: 0 and Infinity are no limit`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ timeout: { headers: 0, body: Infinity } })
    const response = await client.fetch(`${origin.url}/ok`, { ...init, timeout: 0 })
    expect(await response.text()).toBe('ok')
  })
}

test('limits longer than those of a dispatcher hold instead of them, on both lanes', async () => {
  // Twice what undici's timers take, which count in half seconds.
  const later = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 3_000))
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path === '/headers') await later()
    await reply.write(`${head}content-length: 4\r\n\r\nla`)
    if (seen.path === '/body') await later()
    await reply.write('te')
  })
  await using client = testClient({ timeout: { headers: 15_000, body: 15_000 } })
  const dispatcher = new Agent({ headersTimeout: 1_000, bodyTimeout: 1_000 })
  const calls = lanes.flatMap(([, init]) =>
    ['/headers', '/body'].map(async (path) => {
      const response = await client.fetch(origin.url + path, { ...init, dispatcher })
      return response.text()
    }),
  )
  expect(await Promise.all(calls)).toEqual(['late', 'late', 'late', 'late'])
  await dispatcher.close()
})

test('the longest time that is accepted is one that timers can count', async () => {
  const longest = 2_147_483_647
  using warnings = watchWarnings()
  await using origin = await createOrigin(serve)
  await using client = testClient({ connections: 1, timeout: { queue: longest }, drain: { stall: longest } })
  const limits = { total: longest, headers: longest, body: longest }
  const untouched = await client.fetch(`${origin.url}/stalls`, { timeout: limits })
  const waiting = client.fetch(`${origin.url}/ok`)
  await until(() => client.stats().requests.waiting === 1, 'it waits')
  // Untouched bodies are looked at in the end of a turn, warnings are told in another.
  await turns()
  await untouched.body?.cancel()
  expect(await (await waiting).text()).toBe('ok')
  expect(warnings.names).toEqual([])
})

test('limits of a call that are not accepted are refused by name', async () => {
  await using client = testClient()
  const refused = (timeout: unknown): Promise<unknown> =>
    client.fetch('http://127.0.0.1:1/', { timeout: timeout as number })
  await expect(refused(-1)).rejects.toThrow(/init\.timeout\.total must be milliseconds from 0/)
  await expect(refused({ heders: 3 })).rejects.toThrow(/did you mean init\.timeout\.headers/)
  await expect(refused({ connect: 3 })).rejects.toThrow(/init\.timeout\.connect is for a whole client only/)
  await expect(refused('soon')).rejects.toThrow(/init\.timeout must be an object/)
})

test('a response that comes after its time is given up with its connection, and the next call is answered', async () => {
  let answer: (() => void) | undefined
  await using origin = await createOrigin(async (seen, reply) => {
    if (seen.path !== '/late') return serveShapes(seen, reply)
    await new Promise<void>((resolve) => (answer = resolve))
    await reply.write(`${head}content-length: 4\r\n\r\nlate`)
  })
  await using client = testClient({ connections: 1 })
  await expect(client.fetch(`${origin.url}/late`, { timeout: { headers: 500 } })).rejects.toThrow(
    TimeoutError,
  )
  await until(() => answer !== undefined, 'asked')
  answer?.()
  await works(client, origin.url)
  expect(origin.accepted).toBe(2)
  await until(() => origin.resets === 1, 'the origin sees a reset')
})
