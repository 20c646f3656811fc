/** What the SDK's own HTTP client does, ours does: on a raw origin, one call through each, compared as data. */
import { Readable } from 'node:stream'
import { deflateSync, gzipSync } from 'node:zlib'
import { Agent } from 'undici'
import { describe, expect, test } from 'vitest'
import { azureHttpClient } from '../../../src/adapters/azure.ts'
import { createClient } from '../../../src/index.ts'
import { createOrigin, type Script } from '../../support/origin.ts'
import { refused } from '../../support/refused.ts'
import { until } from '../../support/until.ts'
import { bytesOf, expectOfBoth, type Run, sender, whole, withOurs, withTheirs } from './both.ts'
import { outcomeOf } from './outcome.ts'

const MiB = 1024 * 1024
const every = new Set([Infinity])
const abortError = (message: string): object => ({
  name: 'AbortError',
  code: undefined,
  status: undefined,
  isRestError: false,
  isInstance: false,
  message,
})
const restError = (code: string): object => ({
  name: 'RestError',
  code,
  status: undefined,
  isRestError: true,
  isInstance: true,
})
const during = 'The operation was aborted. Rejecting from abort signal callback while making request.'

/** Answers with what was sent: method, headers and the length of the body. */
const echo: Script = async (seen, reply) => {
  await whole('200 OK', JSON.stringify([seen.method, seen.path, seen.headers.split('\n').toSorted()]))(
    seen,
    reply,
  )
}
/** Accepts a request and says nothing. */
const silent: Script = () => {}
/** The head, and less than half of the body. */
const half: Script = async (_, reply) => {
  await reply.write(`HTTP/1.1 200 OK\r\ncontent-length: ${4 * MiB}\r\n\r\n`)
  await reply.write(Buffer.alloc(MiB, 'x'))
}

describe('responses', () => {
  test('a body is text, a stream where its status was asked for, and nothing for HEAD', async () => {
    const run: Run = async (send) => {
      const shapes: unknown[] = []
      for (const options of [
        {},
        { streamResponseStatusCodes: new Set([200]) },
        { streamResponseStatusCodes: new Set([201]) },
        { streamResponseStatusCodes: every },
        { method: 'HEAD', streamResponseStatusCodes: every },
      ] as const) {
        const { status, bodyAsText, readableStreamBody } = await send(options)
        shapes.push([status, bodyAsText, readableStreamBody && (await bytesOf(readableStreamBody))])
      }
      return shapes
    }
    const head: Script = async (seen, reply) =>
      seen.method === 'HEAD'
        ? reply.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n')
        : whole('200 OK', 'grüß')(seen, reply)
    await expectOfBoth(head, run, [
      [200, 'grüß', undefined],
      [200, undefined, 'grüß'],
      [200, 'grüß', undefined],
      [200, undefined, 'grüß'],
      [200, undefined, undefined],
    ])
  })

  test('empty bodies are an empty text or an empty stream: 204, 304, no length, no bytes', async () => {
    for (const answer of [
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\n\r\n',
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ]) {
      const run: Run = async (send) => [
        (await send()).bodyAsText,
        await bytesOf((await send({ streamResponseStatusCodes: every })).readableStreamBody),
      ]
      await expectOfBoth((_, reply) => reply.write(answer), run, ['', ''])
    }
  })

  test('headers come as Node has them: lists joined, single ones once, the first cookie, none empty, latin1 kept', async () => {
    const lines = [
      '200 OK',
      'X-List: a',
      'X-List: b',
      'ETag: "1"',
      'ETag: "2"',
      'Set-Cookie: a=1',
      'Set-Cookie: b=2',
      'X-Empty:',
      'X-Latin: \u00fc',
      'Content-Type: text/plain',
    ]
    const run: Run = async (send) => {
      const { headers } = await send()
      const all = headers.toJSON()
      return [
        all,
        headers.get('ETAG'),
        headers.has('x-empty'),
        [...headers].length === Object.keys(all).length,
      ]
    }
    await expectOfBoth(whole(lines.join('\r\n')), run, [
      {
        'x-list': 'a, b',
        etag: '"1"',
        'set-cookie': 'a=1',
        'x-latin': '\u00fc',
        'content-type': 'text/plain',
        'content-length': '0',
      },
      '"1"',
      false,
      true,
    ])
  })

  test('a body is decoded only if the request has asked for its coding', async () => {
    const packed = { gzip: gzipSync('unpacked'), deflate: deflateSync('unpacked') }
    for (const [coding, bytes] of Object.entries(packed)) {
      const run: Run = async (send) => {
        const headers = { 'Accept-Encoding': 'gzip,deflate' }
        const streamed = await send({ headers, streamResponseStatusCodes: every })
        const asked = [(await send({ headers })).bodyAsText, await bytesOf(streamed.readableStreamBody)]
        const { readableStreamBody } = await send({ streamResponseStatusCodes: every })
        return [asked, await bytesOf(readableStreamBody)]
      }
      const answer = whole(`200 OK\r\ncontent-encoding: ${coding}`, bytes)
      await expectOfBoth(answer, run, [['unpacked', 'unpacked'], bytes.toString()])
    }
  })

  test('what cannot be decoded or does not come whole fails the text as PARSE_ERROR', async () => {
    const undecodable = whole('200 OK\r\ncontent-encoding: gzip', 'not gzip')
    const run: Run = (send) => outcomeOf(() => send({ headers: { 'Accept-Encoding': 'gzip' } }))
    await expectOfBoth(undecodable, run, restError('PARSE_ERROR'))
    const broken: Script = async (seen, reply) => {
      await half(seen, reply)
      reply.reset()
    }
    await expectOfBoth(broken, (send) => outcomeOf(send), restError('PARSE_ERROR'))
  })

  test('a stream that breaks off fails with ECONNRESET', async () => {
    for (const end of ['end', 'reset'] as const) {
      const broken: Script = async (seen, reply) => {
        await half(seen, reply)
        reply[end]()
      }
      const run: Run = async (send) => {
        const { readableStreamBody } = await send({ streamResponseStatusCodes: every })
        const failure = await bytesOf(readableStreamBody).catch(
          (error: unknown) => error as NodeJS.ErrnoException,
        )
        return typeof failure === 'string' ? failure.length : [failure.message, failure.code]
      }
      await expectOfBoth(broken, run, ['aborted', 'ECONNRESET'])
    }
  })

  test('the progress of a download is told, of text and of streams, and ends with all bytes', async () => {
    const run: Run = async (send) => {
      const last = { text: 0, stream: 0 }
      await send({ onDownloadProgress: ({ loadedBytes }) => (last.text = loadedBytes) })
      const { readableStreamBody } = await send({
        streamResponseStatusCodes: every,
        onDownloadProgress: ({ loadedBytes }) => (last.stream = loadedBytes),
      })
      return [last.text, (await bytesOf(readableStreamBody)).length, last.stream]
    }
    await expectOfBoth(whole('200 OK', Buffer.alloc(MiB, 'x')), run, [MiB, MiB, MiB])
  })

  test('a request whose statuses are no Set fails, and does not wait for ever', async () => {
    const run: Run = (send) =>
      outcomeOf(() => send({ streamResponseStatusCodes: [200] as unknown as Set<number> }))
    expect(await withOurs(whole('200 OK', 'x'), run)).toMatchObject({ name: 'RestError' })
  })

  test('interim answers are passed over, and redirects are left to the pipeline', async () => {
    const answers: Script = async (seen, reply) => {
      await reply.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n')
      await whole('302 Found\r\nlocation: /elsewhere')(seen, reply)
    }
    const run: Run = async (send, origin) => {
      const { status, headers } = await send()
      return [status, headers.get('location'), origin.seen.length]
    }
    await expectOfBoth(answers, run, [302, '/elsewhere', 1])
  })
})

describe('requests', () => {
  test('strings, views, array buffers, Node streams and functions that make them are sent as they are', async () => {
    const bytes = new Uint8Array([0, 97, 98, 99, 0]).subarray(1, 4)
    const bodies = (): unknown[] => [
      'abc',
      Buffer.from('abc'),
      bytes,
      bytes.slice().buffer,
      new DataView(bytes.buffer, 1, 3),
      Readable.from([Buffer.from('a'), Buffer.from('bc')]),
      () => Readable.from([Buffer.from('abc')]),
      '',
      null,
    ]
    const run: Run = async (send, origin) => {
      for (const body of bodies()) await send({ method: 'PUT', body: body as never })
      return origin.seen.map(({ headers }) => /^(content-length|transfer-encoding).*$/m.exec(headers)?.[0])
    }
    const three = 'content-length: 3'
    const chunked = 'transfer-encoding: chunked'
    await expectOfBoth(whole('200 OK'), run, [
      three,
      three,
      three,
      three,
      three,
      chunked,
      chunked,
      'content-length: 0',
      'content-length: 0',
    ])
  })

  test("Blobs, web streams and FormData are sent, too, which the SDK's own client on Node refuses", async () => {
    const form = new FormData()
    form.append('file', new Blob(['content']), 'f.txt')
    const bodies = [new Blob(['abc']), () => new Blob(['abc']).stream(), form] as const
    const run: Run = async (send, origin) => {
      for (const body of bodies) await send({ method: 'PUT', body: body as never })
      return origin.seen.map(
        ({ headers }) =>
          /^(content-length|transfer-encoding|content-type).*?(?=;|\d\d|$)/gm.exec(headers)?.[0],
      )
    }
    expect(await withOurs(whole('200 OK'), run)).toEqual([
      'content-length: 3',
      'transfer-encoding: chunked',
      'content-type: multipart/form-data',
    ])
    const refused = await withTheirs(whole('200 OK'), (send) =>
      outcomeOf(() => send({ method: 'PUT', body: new Blob(['abc']) as never })),
    )
    expect(refused).toMatchObject({ name: 'RestError' })
  })

  test('headers are sent as given, and those that belong to the connection are left to it', async () => {
    const run: Run = async (send, origin) => {
      await send({
        method: 'PUT',
        body: 'abc',
        headers: { 'X-Case': 'Kept', Expect: '100-continue', 'Keep-Alive': 'timeout=1' },
      })
      const { headers, path, method } = origin.seen[0]!
      return [method, path, headers.includes('x-case: kept'), headers.includes('content-length: 3')]
    }
    expect(await withOurs(echo, run)).toEqual(['PUT', '/', true, true])
  })

  test('the progress of an upload is told, of bytes and of streams, and ends with all bytes', async () => {
    const run: Run = async (send) => {
      const last: number[] = []
      for (const body of [
        'grüße',
        Buffer.alloc(MiB),
        () => Readable.from([Buffer.alloc(3), Buffer.alloc(4)]),
      ]) {
        const at = last.push(0) - 1
        await send({
          method: 'PUT',
          body: body as never,
          onUploadProgress: ({ loadedBytes }) => (last[at] = loadedBytes),
        })
      }
      return last
    }
    await expectOfBoth(whole('200 OK'), run, [7, MiB, 7])
  })

  test('a stream that was sent already is refused, since half of it could be taken for the whole', async () => {
    const body = Readable.from([Buffer.from('abc')])
    const outcome = await withOurs(whole('503 Busy'), async (send) => {
      await send({ method: 'PUT', body })
      return outcomeOf(() => send({ method: 'PUT', body }))
    })
    expect(outcome).toMatchObject({ name: 'Error', isRestError: false })
  })

  test('an upload whose source fails rejects with its error and its code', async () => {
    const body = (): Readable =>
      Readable.from(
        (async function* () {
          yield Buffer.from('abc')
          throw Object.assign(new Error('disk'), { code: 'EIO' })
        })(),
      )
    expect(await withOurs(silent, (send) => outcomeOf(() => send({ method: 'PUT', body })))).toEqual(
      restError('EIO'),
    )
  })

  test('http: is refused unless it is allowed, and the signature in the address is not shown', async () => {
    const run: Run = (send, origin) =>
      outcomeOf(() => send({ allowInsecureConnection: false, url: `${origin.url}/?sig=secret` }))
    await expectOfBoth(silent, run, {
      name: 'Error',
      code: undefined,
      status: undefined,
      isRestError: false,
      isInstance: false,
    })
    const message = await withOurs(silent, (send, origin) =>
      send({ allowInsecureConnection: false, url: `${origin.url}/?sig=secret` }).catch(String),
    )
    expect(message).toMatch(/allowInsecureConnection is false/)
    expect(message).not.toContain('secret')
  })
})

describe('ends', () => {
  test('a signal aborts before the request, before the headers, within the text and within the stream', async () => {
    const run: Run = async (send, origin) => {
      const outcomes = [await outcomeOf(() => send({ abortSignal: AbortSignal.abort() }))]
      const first = new AbortController()
      const pending = outcomeOf(() => send({ url: `${origin.url}/silent`, abortSignal: first.signal }))
      await until(() => origin.seen.length === 1, 'the request is there')
      first.abort()
      outcomes.push(await pending)
      const second = new AbortController()
      const { readableStreamBody } = await send({
        streamResponseStatusCodes: every,
        abortSignal: second.signal,
      })
      const reading = bytesOf(readableStreamBody).catch((error: Error) => error.name)
      second.abort()
      outcomes.push((await reading).slice(0, 20))
      return outcomes
    }
    const script: Script = (seen, reply) => (seen.path === '/silent' ? undefined : half(seen, reply))
    const before = abortError('The operation was aborted. Request has already been canceled.')
    const theirs = (await withTheirs(script, run)) as unknown[]
    const ours = (await withOurs(script, run)) as unknown[]
    expect(ours.slice(0, 2)).toEqual([before, abortError(during)])
    expect(theirs.slice(0, 2)).toEqual(ours.slice(0, 2))
    // The SDK's stream says 'aborted' by an event and an error of the socket; its own wrapper makes an AbortError of the first.
    expect([theirs[2], ours[2]]).toEqual(['Error', 'AbortError'])
  })

  test('a call that is aborted already makes no body, which nobody would read or close', async () => {
    let made = 0
    const body = (): Readable => {
      made++
      return Readable.from(['x'])
    }
    const run: Run = (send) =>
      outcomeOf(() => send({ method: 'PUT', body, abortSignal: AbortSignal.abort() }))
    const before = 'The operation was aborted. Request has already been canceled.'
    await expectOfBoth(silent, run, abortError(before))
    expect(made).toBe(0)
  })

  test('text that is aborted half way is an AbortError', async () => {
    const run: Run = async (send, origin) => {
      const controller = new AbortController()
      const pending = outcomeOf(() => send({ abortSignal: controller.signal }))
      await until(() => origin.bytesSent > MiB, 'half of it was sent')
      controller.abort()
      return pending
    }
    expect(await withOurs(half, run)).toMatchObject({ name: 'AbortError' })
  })

  test('a signal that is no AbortSignal stays wired until the body is done with, and is let go then', async () => {
    const listeners = new Set<() => void>()
    const signal = {
      aborted: false,
      addEventListener: (_: 'abort', listener: () => void) => void listeners.add(listener),
      removeEventListener: (_: 'abort', listener: () => void) => void listeners.delete(listener),
    }
    const counts = await withOurs(half, async (send, origin, client) => {
      const whenAsked = { streamResponseStatusCodes: every, abortSignal: signal as never }
      const { readableStreamBody } = await sender(client, origin.url)(whenAsked)
      const during = listeners.size
      const reading = bytesOf(readableStreamBody).catch((error: Error) => error.name)
      for (const listener of listeners) listener()
      return [during, await reading, listeners.size]
    })
    expect(counts).toEqual([1, 'AbortError', 0])
  })

  test('the time limit ends what has no headers yet, and nothing later', async () => {
    const run: Run = (send) => outcomeOf(() => send({ timeout: 20 }))
    await expectOfBoth(silent, run, abortError(during))
    // Long enough for headers on a busy machine, and exceeded before the body comes.
    const timeout = 1_500
    const late: Script = async (_, reply) => {
      await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n')
      await new Promise((resolve) => setTimeout(resolve, timeout + 100))
      await reply.write('late')
    }
    const patient: Run = async (send) => (await send({ timeout })).bodyAsText
    await expectOfBoth(late, patient, 'late')
  })

  test('a request that waits for a connection is aborted at once, and never sent', async () => {
    const run: Run = async (send, origin) => {
      const blocker = new AbortController()
      const blocked = Array.from({ length: 4 }, () =>
        outcomeOf(() => send({ url: `${origin.url}/first`, abortSignal: blocker.signal })),
      )
      await until(() => origin.seen.length === 4, 'every connection is taken')
      const controller = new AbortController()
      const waiting = outcomeOf(() => send({ abortSignal: controller.signal }))
      controller.abort()
      const outcome = await waiting
      blocker.abort()
      await Promise.all(blocked)
      return [outcome, origin.seen.length]
    }
    expect(await withOurs(silent, run)).toEqual([abortError(during), 4])
  })

  test('an upload that is aborted ends with its stream, and with no error that nobody hears', async () => {
    const source = new Readable({ read() {} })
    source.push(Buffer.alloc(1_000))
    const outcome = await withOurs(silent, async (send, origin) => {
      const controller = new AbortController()
      const pending = outcomeOf(() => send({ method: 'PUT', body: source, abortSignal: controller.signal }))
      await until(() => origin.open === 1, 'the connection stands')
      controller.abort()
      return pending
    })
    expect(outcome).toEqual(abortError(during))
  })

  test('a refused connection and one that is reset or closed before its headers have the codes of Node', async () => {
    const { url: address } = await refused()
    await expectOfBoth(silent, (send) => outcomeOf(() => send({ url: address })), restError('ECONNREFUSED'))
    const resets: Script = (_, reply) => reply.reset()
    await expectOfBoth(resets, (send) => outcomeOf(send), restError('ECONNRESET'))
    const ends: Script = (_, reply) => reply.end()
    await expectOfBoth(ends, (send) => outcomeOf(send), restError('ECONNRESET'))
  })

  test('silence for longer than the dispatcher allows is ETIMEDOUT, before the headers and within a stream', async () => {
    await using origin = await createOrigin((seen, reply) =>
      seen.path === '/half' ? half(seen, reply) : undefined,
    )
    const dispatcher = new Agent({ headersTimeout: 100, bodyTimeout: 100 })
    await using client = createClient({ dispatcher })
    const send = sender(azureHttpClient(client), origin.url)
    expect(await outcomeOf(send)).toEqual(restError('ETIMEDOUT'))
    const { readableStreamBody } = await send({ url: `${origin.url}/half`, streamResponseStatusCodes: every })
    const error = await bytesOf(readableStreamBody).catch(
      (reason: unknown) => reason as NodeJS.ErrnoException,
    )
    expect(error).toMatchObject({ code: 'ETIMEDOUT', cause: { code: 'UND_ERR_BODY_TIMEOUT' } })
    await dispatcher.destroy()
  })

  test('the error of undici is the cause, and neither prints the request', async () => {
    const error = (await withOurs(
      (_, reply) => reply.reset(),
      (send) => send({ headers: { authorization: 'secret' } }).catch((reason: unknown) => reason),
    )) as Error & { request?: unknown }
    expect((error.cause as NodeJS.ErrnoException).code).toMatch(/UND_ERR_SOCKET|ECONNRESET/)
    expect(error.request).toBeDefined()
    expect(JSON.stringify(error)).not.toContain('secret')
  })
})
