/** The Response of both lanes: what it is, how it is read, cloned, shown and forgotten. */
import zlib from 'node:zlib'
import { inspect } from 'node:util'
import { MockAgent } from 'undici'
import { expect, test } from 'vitest'
import { type Client, createClient, ResponseTooLargeError } from '../../src/index.ts'
import { bothLanes as lanes, testClient, works } from '../support/client.ts'
import { createOrigin, type Script } from '../support/origin.ts'
import { pattern, serveShapes } from '../support/shapes.ts'
import { until, untilCollected } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const KiB = 1024
const text = 'a text that is worth compressing '.repeat(400)
const coders: Record<string, (bytes: Buffer) => Buffer> = {
  gzip: zlib.gzipSync,
  'x-gzip': zlib.gzipSync,
  deflate: zlib.deflateSync,
  'deflate (raw)': zlib.deflateRawSync,
  br: zlib.brotliCompressSync,
  zstd: zlib.zstdCompressSync,
  'gzip, br': (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes)),
}

const answer = (bytes: Buffer, ...headers: string[]): Buffer =>
  Buffer.concat([
    Buffer.from(['HTTP/1.1 200 OK', `content-length: ${bytes.length}`, ...headers, '', ''].join('\r\n')),
    bytes,
  ])

const serve: Script = async (seen, reply) => {
  const [, kind = '', argument = ''] = decodeURIComponent(seen.path).split('/')
  if (kind === 'json') return reply.write(answer(Buffer.from('{"a":1}'), 'content-type: application/json'))
  if (kind === 'coded') {
    const coder = coders[argument] as (bytes: Buffer) => Buffer
    return reply.write(answer(coder(Buffer.from(text)), `content-encoding: ${argument.split(' (')[0]}`))
  }
  if (kind === 'bomb')
    return reply.write(answer(zlib.gzipSync(Buffer.alloc(8 * KiB * KiB)), 'content-encoding: gzip'))
  if (kind === 'corrupt')
    return reply.write(answer(Buffer.from('this is not gzip at all'), 'content-encoding: gzip'))
  if (kind === 'pattern') return reply.write(answer(pattern(Number(argument))))
  if (kind === 'late') {
    await reply.write(`HTTP/1.1 200 OK\r\ncontent-length: ${100 * KiB}\r\n\r\n`)
    await reply.write(pattern(50 * KiB))
    await new Promise((resolve) => setTimeout(resolve, 30))
    return reply.write(pattern(100 * KiB).subarray(50 * KiB))
  }
  if (kind === 'cookies')
    return reply.write(answer(Buffer.from('x'), 'set-cookie: a=1', 'set-cookie: b=2', 'x-a: 1', 'x-a: 2'))
  if (kind === 'form')
    return reply.write(answer(Buffer.from('a=1&b=%20x'), 'content-type: application/x-www-form-urlencoded'))
  if (kind === 'reset-content')
    return reply.write('HTTP/1.1 205 Reset Content\r\ncontent-length: 3\r\n\r\nabc')
  await serveShapes(seen, reply)
}

for (const [lane, init] of lanes) {
  const open = async (path: string, options = {}): Promise<[Client, Response, AsyncDisposable]> => {
    const origin = await createOrigin(serve)
    const client = testClient({ connections: 2, ...options })
    const both = {
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]()
        await origin[Symbol.asyncDispose]()
      },
    }
    return [client, await client.fetch(`${origin.url}/${path}`, init), both]
  }

  test(`${lane}: it is a Response in every way that libraries look at`, async () => {
    const [, response, stack] = await open('json')
    await using _ = stack
    expect(response).toBeInstanceOf(Response)
    expect(Object.prototype.toString.call(response)).toBe('[object Response]')
    expect(response.constructor.name).toBe('Response')
    expect(response.headers).toBeInstanceOf(Headers)
    expect(Object.prototype.toString.call(response.headers)).toBe('[object Headers]')
    expect(() => response.headers.set('a', 'b')).toThrow(new TypeError('immutable'))
    expect(() => response.headers.append('a', 'b')).toThrow(TypeError)
    expect(() => response.headers.delete('a')).toThrow(TypeError)
    const { status, statusText, ok, redirected, type, bodyUsed } = response
    expect({ status, statusText, ok, redirected, type, bodyUsed }).toEqual({
      status: 200,
      statusText: 'OK',
      ok: true,
      redirected: false,
      type: 'basic',
      bodyUsed: false,
    })
    const copy = new Response(response.body, response)
    expect(copy.headers.get('content-type')).toBe('application/json')
    expect(await copy.json()).toEqual({ a: 1 })
  })

  test(`${lane}: it shows what it is, and to show it does not touch its body`, async () => {
    const [client, response, stack] = await open('json')
    await using _ = stack
    const shown = inspect(response)
    expect(shown).toMatch(/^Response \{\s+status: 200,\s+statusText: 'OK',\s+headers: Headers \{/)
    expect(shown).toMatch(/body: ReadableStream \{ locked: false, state: 'readable', supportsBYOB: true \}/)
    expect(inspect(response.headers)).toContain("'content-type': 'application/json'")
    expect(client.stats().bodies.read).toBe(0)
    expect(await response.json()).toEqual({ a: 1 })
    expect(inspect(response)).toContain('bodyUsed: true')
  })

  test(`${lane}: repeated headers are joined, cookies are not`, async () => {
    const [, response, stack] = await open('cookies')
    await using _ = stack
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(response.headers.get('x-a')).toBe('1, 2')
    await response.text()
  })

  for (const coding of Object.keys(coders)) {
    test(`${lane}: ${coding} is decoded, whole and as a stream, read at once and late`, async () => {
      await using origin = await createOrigin(serve)
      await using client = testClient({ connections: 2 })
      const get = (): Promise<Response> =>
        client.fetch(`${origin.url}/coded/${encodeURIComponent(coding)}`, init)
      expect(await (await get()).text()).toBe(text)
      const late = await get()
      await until(() => client.stats().requests.inFlight === 0, 'arrived')
      expect(await late.text()).toBe(text)
      const parts: Uint8Array[] = []
      for await (const part of (await get()).body as ReadableStream<Uint8Array>) parts.push(part)
      expect(Buffer.concat(parts).toString()).toBe(text)
    })
  }

  test(`${lane}: a body that is not what its coding says fails with the decoder's error`, async () => {
    const [, response, stack] = await open('corrupt')
    await using _ = stack
    const error: unknown = await response.text().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ message: 'terminated', cause: { code: 'Z_DATA_ERROR' } })
  })

  test(`${lane}: a body larger than maxResponseSize is refused, encoded or not, and does not hold its socket`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ maxResponseSize: 100 * KiB })
    for (const path of ['bomb', `pattern/${100 * KiB + 1}`, 'coded/gzip']) {
      const response = await client.fetch(`${origin.url}/${path}`, init)
      if (path.startsWith('coded')) expect(await response.text()).toBe(text)
      else await expect(response.bytes()).rejects.toThrow(ResponseTooLargeError)
    }
    const exact = await client.fetch(`${origin.url}/pattern/${100 * KiB}`, init)
    expect(Buffer.compare(await exact.bytes(), pattern(100 * KiB))).toBe(0)
    const streamed = await client.fetch(`${origin.url}/pattern/${200 * KiB}`, init)
    let read = 0
    for await (const part of streamed.body as ReadableStream<Uint8Array>) read += part.length
    expect(read).toBe(200 * KiB)
    await works(client, origin.url)
  })

  test(`${lane}: a body larger than maxResponseSize that had arrived is refused as well, and so are its clones`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ maxResponseSize: 1_000 })
    const held = async (): Promise<Response> => {
      const response = await client.fetch(`${origin.url}/pattern/${20 * KiB}`, init)
      await until(() => client.stats().bytes.held > 1_000, 'held')
      return response
    }
    await expect((await held()).text()).rejects.toThrow(ResponseTooLargeError)
    const response = await held()
    const both = [response.clone().text(), response.bytes()]
    for (const result of await Promise.allSettled(both))
      expect(result).toMatchObject({
        status: 'rejected',
        reason: expect.any(ResponseTooLargeError) as unknown,
      })
    await works(client, origin.url)
  })

  test(`${lane}: a second reader is refused, and what is left of the body says so`, async () => {
    const [, response, stack] = await open('json')
    await using _ = stack
    expect(await response.text()).toBe('{"a":1}')
    expect(response.bodyUsed).toBe(true)
    await expect(response.json()).rejects.toThrow(
      new TypeError('Body is unusable: Body has already been read'),
    )
    expect(() => response.clone()).toThrow('Response.clone: Body has already been consumed.')
    expect(response.body?.locked).toBe(true)
    expect(() => response.body?.getReader()).toThrow(TypeError)
  })

  test(`${lane}: a reader with a buffer of its own gets every byte`, async () => {
    const [, response, stack] = await open(`pattern/${100 * KiB}`)
    await using _ = stack
    const reader = (response.body as ReadableStream<Uint8Array>).getReader({ mode: 'byob' })
    const parts: Buffer[] = []
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(777))
      if (done) break
      parts.push(Buffer.from(value))
    }
    expect(Buffer.compare(Buffer.concat(parts), pattern(100 * KiB))).toBe(0)
  })

  for (const path of [`pattern/${100 * KiB}`, 'late', 'coded/gzip']) {
    test(`${lane}: of ${path}, clones have the same bytes, whichever is read first`, async () => {
      await using origin = await createOrigin(serve)
      await using client = testClient({ connections: 2 })
      for (const order of ['first', 'second', 'both', 'clone of the clone']) {
        const response = await client.fetch(`${origin.url}/${path}`, init)
        const clone = response.clone()
        const read = async (each: Response): Promise<string> =>
          Buffer.from(await each.bytes()).toString('hex')
        const [a, b] =
          order === 'first'
            ? [await read(response), await read(clone)]
            : order === 'second'
              ? [await read(clone), await read(response)]
              : order === 'both'
                ? await Promise.all([read(response), read(clone)])
                : [await read(clone.clone()), await read(response)]
        expect(a).toBe(b)
        expect(a?.length).toBeGreaterThan(2 * KiB)
        expect(clone.headers.get('content-length')).toBe(response.headers.get('content-length'))
        if (order === 'clone of the clone') await clone.body?.cancel()
      }
      await works(client, origin.url)
    })
  }

  test(`${lane}: to clone a body is not to touch it: while others wait, it is taken back from both`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ connections: 1, drain: { stall: 50 } })
    const response = await client.fetch(`${origin.url}/${encodeURIComponent('64 MiB')}`, init)
    const clone = response.clone()
    await works(client, origin.url)
    for (const each of [response, clone])
      await expect(each.text()).rejects.toMatchObject({ cause: { name: 'BodyReclaimedError' } })
    expect(client.stats().bodies.closed).toBe(1)
  })

  test(`${lane}: forms, blobs and text streams`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient()
    const get = (path: string): Promise<Response> => client.fetch(`${origin.url}/${path}`, init)
    const form = await (await get('form')).formData()
    expect(form).toBeInstanceOf(FormData)
    expect([...form]).toEqual([
      ['a', '1'],
      ['b', ' x'],
    ])
    const blob = await (await get('json')).blob()
    expect([blob.type, await blob.text()]).toEqual(['application/json', '{"a":1}'])
    const response = (await get('json')) as Response & { textStream(): ReadableStream<string> }
    const parts: string[] = []
    for await (const part of response.textStream()) parts.push(part)
    expect(parts.join('')).toBe('{"a":1}')
    await expect((await get('json')).formData()).rejects.toThrow(/Content-Type was not one of/)
  })

  test(`${lane}: disposed of, it gives its socket back`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient()
    for (const path of [`pattern/${100 * KiB}`, 'json', 'late']) {
      {
        await using response = await client.fetch(`${origin.url}/${path}`, init)
        expect(response.ok).toBe(true)
      }
      await works(client, origin.url)
    }
    expect(client.stats().bodies).toMatchObject({ drained: 3, closed: 0 })
    expect(origin.accepted).toBe(1)
  })

  test(`${lane}: an encoded body that is given up is dropped as it came`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient()
    const response = await client.fetch(`${origin.url}/bomb`, init)
    await response.body?.cancel()
    await until(() => client.stats().bodies.open === 0, 'settled')
    // 8 MiB decoded, 8 KiB on the wire: nothing was decoded, and the connection was worth keeping.
    const { bytes, bodies } = client.stats()
    expect(bytes.drained + bytes.read).toBeLessThan(20 * KiB)
    expect(bodies.closed).toBe(0)
    await works(client, origin.url)
  })

  test(`${lane}: large bodies read as streams are exact, one after another on one connection`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient()
    const size = 3 * KiB * KiB + 1
    for (let i = 0; i < 3; i++) {
      const parts: Uint8Array[] = []
      const { body } = await client.fetch(`${origin.url}/pattern/${size}`, init)
      for await (const part of body as ReadableStream<Uint8Array>) parts.push(part)
      expect(Buffer.compare(Buffer.concat(parts), pattern(size))).toBe(0)
    }
    expect(origin.accepted).toBe(1)
  })

  test(`${lane}: a body where there should be none is not waited for`, async () => {
    const [client, response, stack] = await open('reset-content')
    await using _ = stack
    expect([response.status, response.body, await response.text()]).toEqual([205, null, ''])
    await until(() => client.stats().bodies.open === 0, 'settled')
  })

  test(`${lane}: a clone outlives the Response it was made of`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ drain: { readAhead: 0 } })
    let response: Response | undefined = await client.fetch(`${origin.url}/pattern/300000`, init)
    const clone = response.clone()
    response = undefined
    for (let i = 0; i < 5; i++) await collect()
    expect(Buffer.compare(await clone.bytes(), pattern(300_000))).toBe(0)
  })

  test(`${lane}: of two clones, one can be disposed of without harm to the other, both end the body`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ drain: { readAhead: 0 } })
    const read = await client.fetch(`${origin.url}/pattern/300000`, init)
    await (read.clone() as unknown as AsyncDisposable)[Symbol.asyncDispose]()
    expect(Buffer.compare(await read.bytes(), pattern(300_000))).toBe(0)
    const neither = await client.fetch(`${origin.url}/64%20MiB`, init)
    await (neither.clone() as unknown as AsyncDisposable)[Symbol.asyncDispose]()
    await neither[Symbol.asyncDispose]()
    await until(() => client.stats().bodies.open === 0, 'given up')
    await works(client, origin.url)
  })

  test(`${lane}: a stream outlives its Response`, async () => {
    await using origin = await createOrigin(serve)
    await using client = testClient({ connections: 1, drain: { readAhead: 0 } })
    const { body: stream } = await client.fetch(`${origin.url}/pattern/300000`, init)
    for (let i = 0; i < 5; i++) await collect()
    let length = 0
    for await (const part of stream as ReadableStream<Uint8Array>) length += part.length
    expect(length).toBe(300_000)
  })
}

// On the long lane undici keeps a stream that was read alive as long as its connection.
test('short lane: a stream that was read and is forgotten gives its socket back', async () => {
  await using origin = await createOrigin(serve)
  await using client = testClient({ connections: 1, drain: { readAhead: 0 } })
  const readSome = async (): Promise<unknown> => {
    const { body } = await client.fetch(`${origin.url}/64%20MiB`)
    return body?.getReader().read()
  }
  expect(await readSome()).toMatchObject({ done: false })
  await untilCollected(() => client.stats().bodies.open === 0, 'given up')
  await works(client, origin.url)
})

async function collect(): Promise<void> {
  ;(globalThis as { gc?: () => void }).gc?.()
  await new Promise((resolve) => setImmediate(resolve))
}

test('a Response forgotten while it is read whole is read to its end', async () => {
  await using origin = await createOrigin(serve)
  await using client = testClient()
  const reading = client.fetch(`${origin.url}/late`).then((response) => response.bytes())
  while (client.stats().bodies.read === 0) await collect()
  expect((await reading).length).toBe(100 * KiB)
})

test('a clone of a body that has arrived makes no stream, and one that has not deadlocks neither half', async () => {
  await using origin = await createOrigin(serve)
  await using client = testClient({ connections: 2 })
  const arrived = await client.fetch(`${origin.url}/pattern/${50 * KiB}`)
  await until(() => client.stats().requests.inFlight === 0, 'arrived')
  const clone = arrived.clone()
  expect(client.stats().bodies.read).toBe(1)
  expect([(await clone.bytes()).length, (await arrived.bytes()).length]).toEqual([50 * KiB, 50 * KiB])
  const large = await client.fetch(`${origin.url}/pattern/${4096 * KiB}`)
  const half = large.clone()
  expect((await half.bytes()).length).toBe(4096 * KiB)
  expect((await large.bytes()).length).toBe(4096 * KiB)
})

test('WebAssembly compiles from it while it arrives', async () => {
  const module = Buffer.from('0061736d01000000', 'hex')
  await using origin = await createOrigin((_, reply) =>
    reply.write(answer(module, 'content-type: application/wasm')),
  )
  await using client = testClient()
  const { compileStreaming, Module } = (globalThis as unknown as { WebAssembly: Wasm }).WebAssembly
  expect(await compileStreaming(client.fetch(origin.url))).toBeInstanceOf(Module)
})

/** Not in Node's own types. */
interface Wasm {
  compileStreaming(this: void, source: Promise<Response>): Promise<object>
  readonly Module: new () => object
}

test('the bytes of a mocked reply, which belong to the mock, are copied', async () => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  const reply = Buffer.from(new Uint8Array(64 * KiB).fill(7))
  mock.get('http://mocked.test').intercept({ path: '/' }).reply(200, reply).persist()
  const client = createClient({ dispatcher: mock })
  for (let i = 0; i < 2; i++) {
    const { body } = await client.fetch('http://mocked.test/')
    let sum = 0
    for await (const part of body as ReadableStream<Uint8Array>)
      sum += part.reduce((all, each) => all + each, 0)
    expect(sum).toBe(7 * 64 * KiB)
  }
  expect(reply.length).toBe(64 * KiB)
  await client.close()
  await mock.close()
})
