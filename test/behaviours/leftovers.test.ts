/** What could be left over when a body has ended: bytes, timers, sockets, or a client that does not close. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { spawn } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import zlib from 'node:zlib'
import { expect, test, vi } from 'vitest'
import { createClient } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { createOrigin, type Origin, type Reply } from '../support/origin.ts'
import { pattern, serveShapes } from '../support/shapes.ts'
import { until, untilCollected } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const head = 'HTTP/1.1 200 OK\r\n'

const answers = (send: (reply: Reply) => void | Promise<void>): Promise<Origin> =>
  createOrigin((seen, reply) => (seen.path === '/ok' ? serveShapes(seen, reply) : send(reply)))

test('a gzip body read to the end of its data, the last chunk still to come, keeps its connection (T4)', async () => {
  let sendLast: (() => void) | undefined
  const coded = zlib.gzipSync(pattern(5_000))
  await using origin = await answers(async (reply) => {
    await reply.write(`${head}content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n`)
    await reply.write(
      Buffer.concat([Buffer.from(`${coded.length.toString(16)}\r\n`), coded, Buffer.from('\r\n')]),
    )
    await new Promise<void>((resolve) => (sendLast = resolve))
    await reply.write('0\r\n\r\n')
  })
  await using client = testClient()
  const response = await client.fetch(`${origin.url}/x`)
  const reader = response.body?.getReader()
  let got = 0
  while (got < 5_000) got += (await reader?.read())?.value?.length ?? Infinity
  expect(got).toBe(5_000)
  await reader?.cancel()
  await until(() => sendLast !== undefined, 'the origin has sent the data')
  sendLast?.()
  await origin.stopListening()
  await works(client, origin.url)
  expect(origin.accepted).toBe(1)
})

for (const [name, method, bytes] of [
  ['204', 'DELETE', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\netag: "a"\r\n\r\n'],
  ['HEAD', 'HEAD', `${head}content-length: 5000\r\n\r\n`],
  ['content-length 0', 'GET', `${head}content-length: 0\r\n\r\n`],
] as const) {
  test(`an answer of kind ${name} holds nothing once its caller has it (T9)`, async () => {
    await using origin = await answers((reply) => reply.write(bytes))
    await using client = testClient()
    const kept: Response[] = []
    for (let i = 0; i < 10; i++) {
      kept.push(await client.fetch(`${origin.url}/x`, { method }))
      expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: 0 })
      expect(client.stats().bodies).toMatchObject({ open: 0, read: i + 1 })
      if (i === 0) await origin.stopListening()
    }
    expect(origin.accepted).toBe(1)
    expect(kept).toHaveLength(10)
  })
}

test('a compressed body is drained as it came, not decoded (T17)', async () => {
  let sendRest: (() => void) | undefined
  const bomb = zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024))
  await using origin = await answers(async (reply) => {
    await reply.write(`${head}content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`)
    await new Promise<void>((resolve) => (sendRest = resolve))
    await reply.write(bomb)
  })
  await using client = testClient()
  await (await client.fetch(`${origin.url}/x`)).body?.cancel()
  await until(() => sendRest !== undefined, 'the origin has sent the head')
  sendRest?.()
  await works(client, origin.url)
  expect(origin.accepted).toBe(1)
  expect(client.stats().bytes).toMatchObject({ drained: bomb.length, read: 2, held: 0 })
})

test('bytes that come on an idle connection never become the next answer (T20)', async () => {
  let sendMore: (() => void) | undefined
  await using origin = await createOrigin((seen, reply) => {
    sendMore ??= () => void reply.write(`${head}content-length: 4\r\n\r\nevil`)
    return serveShapes(seen, reply)
  })
  await using client = testClient()
  await works(client, origin.url)
  await until(() => client.stats().sockets.idle === 1, 'idle')
  sendMore?.()
  await until(() => client.stats().sockets.open === 0, 'the connection is given up')
  await works(client, origin.url)
  expect(origin.accepted).toBe(2)
})

test('an abort while a body is drained changes nothing: one drain, the connection kept (T28)', async () => {
  let sendRest: (() => void) | undefined
  await using origin = await answers(async (reply) => {
    await reply.write(`${head}content-length: 1000\r\n\r\n`)
    await new Promise<void>((resolve) => (sendRest = resolve))
    await reply.write(pattern(1_000))
  })
  await using client = testClient()
  const controller = new AbortController()
  const response = await client.fetch(`${origin.url}/x`, { signal: controller.signal })
  await response.body?.cancel()
  expect(client.stats().sockets.draining).toBe(1)
  controller.abort()
  await until(() => sendRest !== undefined, 'the origin has sent the head')
  sendRest?.()
  await works(client, origin.url)
  expect(client.stats().bodies).toMatchObject({ drained: 1, closed: 0 })
  expect(origin.accepted).toBe(1)
})

/** Runs a module that has a `client` with these options, and waits for its end. */
async function run(options: string, source: string): Promise<number> {
  const program = `
    import { createClient } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)}
    const client = createClient(${options})
    ${source}`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore' })
  const [code] = (await once(child, 'exit', { signal: AbortSignal.timeout(15_000) }).catch(
    (error: unknown) => {
      child.kill('SIGKILL')
      throw error
    },
  )) as [number]
  return code
}

for (const [name, shape, after] of [
  ['received and never touched', 'one byte', ''],
  ['given up and drained', '404 with 256 KiB', 'await response.body.cancel()'],
  ['given up and stalled', 'stalled in the body', 'await response.body.cancel()'],
] as const) {
  test(`a process ends although a body was ${name} and no client was closed (T28)`, async () => {
    await using origin = await createOrigin(serveShapes)
    const url = JSON.stringify(`${origin.url}/${encodeURIComponent(shape)}`)
    const code = await run(
      '{ keepAlive: 600_000, drain: { stall: 600_000, maxTime: 100 } }',
      `const response = await client.fetch(${url})
      ${after}`,
    )
    expect(code).toBe(0)
    expect(origin.accepted).toBe(1)
  })
}

test('a process lives until close() resolves, although it waits for a body nobody touched alone', async () => {
  await using origin = await createOrigin(serveShapes)
  const code = await run(
    '{ drain: { stall: 300 } }',
    `const response = await client.fetch('${origin.url}/64%20MiB')
    await client.close()
    // An await that nothing keeps alive ends the process with 13.
    process.exitCode = 7`,
  )
  expect(code).toBe(7)
})

for (const [name, shape, cancels] of [
  ['an answer was never touched', 'one byte', false],
  ['a body is endless and was never touched', 'endless trickle', false],
  ['a body larger than readAhead was never touched', '1 MiB', false],
  ['a drain is under way', 'stalled in the body', true],
] as const) {
  test(`close() resolves when ${name}, and no connection is left`, async () => {
    await using origin = await createOrigin(serveShapes)
    const client = createClient({ drain: { stall: 50, readAhead: 1_000, maxTime: 60_000 } })
    const response = await client.fetch(`${origin.url}/${encodeURIComponent(shape)}`)
    if (cancels) await response.body?.cancel()
    await client.close()
    await until(() => client.stats().sockets.open === 0 && origin.open === 0, 'closed on both sides')
    expect(client.stats()).toMatchObject({ requests: { waiting: 0, inFlight: 0 }, sockets: { draining: 0 } })
  })
}

for (const first of ['close', 'destroy'] as const) {
  test(`a client that was ended by ${first}() can be closed and disposed of again`, async () => {
    await using origin = await createOrigin(serveShapes)
    const client = createClient()
    await works(client, origin.url)
    await client[first]()
    await expect(client.close()).resolves.toBeUndefined()
    await expect(client[Symbol.asyncDispose]()).resolves.toBeUndefined()
    await expect(client.destroy()).resolves.toBeUndefined()
  })
}

test('a reader that takes the last held byte, pauses and is forgotten is counted once (T38)', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient()
  const read = (): Promise<void> =>
    new Promise((resolve, reject) => {
      client.dispatcher.dispatch(
        { origin: origin.url, path: '/one%20byte', method: 'GET' },
        {
          onRequestStart() {},
          onResponseStart(controller) {
            controller.pause()
            void until(() => client.stats().sockets.idle === 1, 'arrived').then(() => controller.resume())
          },
          onResponseData(controller) {
            controller.pause()
            resolve()
          },
          onResponseError: (_, error) => reject(error),
        },
      )
    })
  await read()
  await untilCollected(() => client.stats().bodies.drained === 1, 'collected')
  expect(client.stats().bodies).toMatchObject({ open: 0, holding: 0, reasons: { collected: 1 } })
})

test('a call captures no stack while nobody asks for call sites (T39)', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ leaks: 'off' })
  await works(client, origin.url)
  const capture = vi.spyOn(Error, 'captureStackTrace')
  try {
    for (let i = 0; i < 20; i++) await works(client, origin.url)
    expect(capture).not.toHaveBeenCalled()
  } finally {
    capture.mockRestore()
  }
})

test('a Response in the async context of its caller can be collected while its body still comes, also if requests are traced', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ connections: 2 })
  const context = new AsyncLocalStorage<{ response?: Response }>()
  const trace = (): void => {}
  diagnostics.subscribe('undici:request:create', trace)
  try {
    // A socket keeps the context it was made in.
    await works(client, origin.url)
    const store = await (async () => {
      const mine: { response?: Response } = {}
      await context.run(mine, async () => {
        mine.response = await client.fetch(`${origin.url}/stalled%20in%20the%20body`)
      })
      return new WeakRef(mine)
    })()
    expect(client.stats().sockets.inFlight).toBe(1)
    await untilCollected(() => store.deref() === undefined, 'the context is collected')
    await until(() => client.stats().bodies.open === 0, 'the body was given up')
    expect(origin.accepted).toBe(1)
  } finally {
    diagnostics.unsubscribe('undici:request:create', trace)
  }
})
