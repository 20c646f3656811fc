/** What fails, fails as with the SDK's own handler: the same names, codes and attempts. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { type AwsRequest, awsRequestHandler } from '../../../src/adapters/aws.ts'
import { createClient } from '../../../src/index.ts'
import { testClient } from '../../support/client.ts'
import { createOrigin, type Reply, type Script } from '../../support/origin.ts'
import { refused } from '../../support/refused.ts'
import { until } from '../../support/until.ts'
import { bucket as Bucket, handlers, plain, sdk, tell } from './support.ts'

const ok = 'HTTP/1.1 200 OK\r\n'
const hello = `${ok}content-length: 5\r\netag: "a"\r\n\r\nhello`
const empty = `${ok}content-length: 0\r\n\r\n`
const busy = (status: string, code: string): string => {
  const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>busy</Message></Error>`
  return `HTTP/1.1 ${status}\r\ncontent-type: application/xml\r\ncontent-length: ${xml.length}\r\n\r\n${xml}`
}

const object = { Bucket, Key: 'key' }
const get = async (s3: S3Client): Promise<string | undefined> =>
  (await s3.send(new GetObjectCommand(object))).Body?.transformToString()
const put = async (s3: S3Client, Body: string | Readable = 'hello'): Promise<unknown> => {
  const { $metadata } = await s3.send(new PutObjectCommand({ ...object, Body, ContentLength: 5 }))
  return $metadata.attempts
}

const to = (port: number, path = '/'): AwsRequest => ({
  method: 'GET',
  protocol: 'http:',
  hostname: '127.0.0.1',
  port,
  path,
  headers: {},
})

type Call = (s3: S3Client) => Promise<unknown>
type Answer = (reply: Reply) => unknown

/** Answers in this order, the last one again and again. */
const inTurn = (...answers: (string | Answer)[]): Script => {
  let at = 0
  return async (_, reply) => {
    const answer = answers[Math.min(at++, answers.length - 1)] as string | Answer
    if (typeof answer === 'string') await reply.write(answer)
    else await answer(reply)
  }
}
const reset: Answer = (reply) => reply.reset()
const finish: Answer = (reply) => reply.end()
const never: Answer = () => {}
const cut =
  (text: string, end: Answer): Answer =>
  async (reply) => {
    await reply.write(text)
    end(reply)
  }
const list = `${ok}content-length: 1000\r\n\r\n<ListBucketResult>`
const listed = '<ListBucketResult><KeyCount>3</KeyCount></ListBucketResult>'

const scenarios: Record<string, [() => Script, Call, object?]> = {
  '503, then 200': [() => inTurn(busy('503 Slow Down', 'SlowDown'), hello), get],
  '503 and 500, then 200': [
    () => inTurn(busy('503 Unavailable', 'ServiceUnavailable'), busy('500 No', 'InternalError'), hello),
    get,
  ],
  '503 for ever': [() => inTurn(busy('503 Unavailable', 'ServiceUnavailable')), get],
  '412': [() => inTurn(busy('412 Precondition Failed', 'PreconditionFailed')), get],
  '301 of another region': [() => inTurn(busy('301 Moved', 'PermanentRedirect')), (s3) => get(s3)],
  '400': [() => inTurn(busy('400 Bad', 'InvalidArgument')), get],
  'a reset, then 200': [() => inTurn(reset, hello), get],
  'two connections ended, then 200': [() => inTurn(finish, finish, hello), get],
  'resets for ever': [() => inTurn(reset), get],
  'PUT: a reset, then 200': [() => inTurn(reset, empty), put],
  'PUT: an end, then 200': [() => inTurn(finish, empty), put],
  'HEAD: a reset, then 200': [
    () => inTurn(reset, `${ok}content-length: 7\r\n\r\n`),
    async (s3) => (await s3.send(new HeadObjectCommand(object))).ContentLength,
  ],
  'a listing cut short, then whole': [
    () => inTurn(cut(list, finish), `${ok}content-length: ${listed.length}\r\n\r\n${listed}`),
    async (s3) => (await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount,
  ],
  'an upload from a stream is not sent twice': [
    () => inTurn(reset, empty),
    (s3) => put(s3, Readable.from([Buffer.from('hello')])),
    // The origin knows no framing within a framing.
    plain,
  ],
}

for (const [name, [script, call, config]] of Object.entries(scenarios)) {
  test(`${name}: the same outcome in as many attempts`, async () => {
    const outcomes: unknown[] = []
    for (const handler of handlers) {
      await using origin = await createOrigin(script())
      await using own = sdk(handler, origin.url, config)
      outcomes.push({ outcome: look(await tell(call(own.s3))), requests: origin.seen.length })
    }
    expect(outcomes[1]).toEqual(outcomes[0])
  })
}

/** Without the words, which are undici's and Node's own, and without the warning that a stream is not sent twice. */
const look = (outcome: unknown): unknown => {
  const { message, ...rest } = outcome as { message?: string }
  return { ...rest, isNonRetryable: message?.includes('non-retryable') }
}

test('a refused connection is retried, and is told as ECONNREFUSED', async () => {
  const { host, port, url } = await refused()
  for (const handler of handlers) {
    await using own = sdk(handler, url)
    const error = await get(own.s3).catch((error: unknown) => error)
    expect(error).toMatchObject({
      name: 'Error',
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: host,
      port,
      $metadata: { attempts: 3 },
      message: `connect ECONNREFUSED ${host}:${port}`,
    })
  }
})

const bodies: Record<string, [Answer, object]> = {
  'ended by the server': [finish, { code: 'ECONNRESET' }],
  'reset by the server': [reset, { code: 'ECONNRESET' }],
}
for (const [name, [end, expected]] of Object.entries(bodies)) {
  test(`a body ${name} half-way fails its reader, and never ends short`, async () => {
    for (const handler of handlers) {
      await using origin = await createOrigin(inTurn(cut(`${ok}content-length: 10\r\n\r\nhello`, end)))
      await using own = sdk(handler, origin.url)
      expect(await get(own.s3).catch((error: unknown) => error)).toMatchObject(expected)
      const { Body } = await own.s3.send(new GetObjectCommand(object))
      const parts: unknown[] = []
      const read = async (): Promise<void> => {
        for await (const part of Body as Readable) parts.push(String(part))
      }
      await expect(read()).rejects.toMatchObject(expected)
    }
  })
}

test('a body nobody reads can fail: the process goes on, and whoever comes later hears of it', async () => {
  const failing = inTurn(cut(`${ok}content-length: 10\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\nhello`, reset))
  await using origin = await createOrigin(failing)
  await using own = sdk('ours', origin.url)
  const { Body } = await own.s3.send(new GetObjectCommand({ ...object, ChecksumMode: 'ENABLED' }))
  await until(() => own.client.stats().bodies.closed === 1, 'failed')
  await expect(Body?.transformToString()).rejects.toMatchObject({ code: 'ECONNRESET' })
})

const reasons: Record<string, [unknown, object]> = {
  'without a reason': [undefined, { name: 'AbortError', cause: { name: 'AbortError' } }],
  'with a reason in words': ['enough', { name: 'AbortError', message: 'enough' }],
  'with an error': [
    new Error('x'),
    { name: 'AbortError', message: 'Request aborted', cause: { message: 'x' } },
  ],
}
for (const [name, [reason, expected]] of Object.entries(reasons)) {
  test(`an abort ${name} before the answer is one attempt and an AbortError`, async () => {
    for (const handler of handlers) {
      await using origin = await createOrigin(inTurn(never))
      await using own = sdk(handler, origin.url)
      const controller = new AbortController()
      const { requestHandler } = own.s3.config
      const { signal: abortSignal } = controller
      const call = tell(requestHandler.handle(to(origin.port) as never, { abortSignal }))
      const sent = own.s3.send(new GetObjectCommand(object), { abortSignal })
      await Promise.all([
        until(() => origin.seen.length === 2, 'sent').then(() => controller.abort(reason)),
        expect(sent).rejects.toMatchObject({ name: 'AbortError' }),
      ])
      expect(await call).toMatchObject(expected)
      await expect(requestHandler.handle(to(origin.port) as never, { abortSignal })).rejects.toMatchObject(
        expected,
      )
      expect(origin.seen.length).toBe(2)
    }
  })
}

test('a request aborted while it waits for a connection is never sent', async () => {
  await using origin = await createOrigin((seen, reply) =>
    reply.write(seen.path.startsWith('/first') ? '' : hello),
  )
  const client = createClient({ connections: 1 })
  const handler = awsRequestHandler(client)
  const first = new AbortController()
  const second = new AbortController()
  const calls = [
    handler.handle(to(origin.port, '/first'), { abortSignal: first.signal }),
    handler.handle(to(origin.port, '/second'), { abortSignal: second.signal }),
  ].map((call) => call.catch((error: Error) => error.name))
  await until(() => origin.seen.length === 1, 'the first is there')
  second.abort()
  expect(await calls[1]).toBe('AbortError')
  first.abort()
  expect(await calls[0]).toBe('AbortError')
  const { response } = await handler.handle(to(origin.port, '/third'))
  response.body.resume()
  await once(response.body, 'end')
  expect(origin.seen.map(({ path }) => path)).toEqual(['/first', '/third'])
  await client.destroy()
})

test('a signal that has nothing but onabort works as well, until the body has ended', async () => {
  await using origin = await createOrigin(inTurn(never, hello))
  await using client = testClient()
  const handler = awsRequestHandler(client)
  const request = to(origin.port)
  const bare = { aborted: false, onabort: null as null | (() => void) }
  const call = handler.handle(request, { abortSignal: bare })
  await until(() => origin.seen.length === 1, 'sent')
  bare.onabort?.()
  await expect(call).rejects.toMatchObject({ name: 'AbortError' })
  expect(bare.onabort).toBe(null)
  const { response } = await handler.handle(request, { abortSignal: bare })
  expect(bare.onabort).not.toBe(null)
  for await (const _ of response.body);
  expect(bare.onabort).toBe(null)
})

const limits: Record<string, [object, object, Answer]> = {
  'requestTimeout before the headers': [
    { requestTimeout: 500, throwOnRequestTimeout: true },
    { requestTimeout: 500 },
    never,
  ],
  'socketTimeout before the headers': [{ socketTimeout: 500 }, { socketTimeout: 500 }, never],
}
for (const [name, [own, ours, answer]] of Object.entries(limits)) {
  test(`${name}: a TimeoutError in as many attempts`, async () => {
    await using origin = await createOrigin(inTurn(answer))
    await using default_ = sdk('the SDK’s own', origin.url, { requestHandler: own, maxAttempts: 2 })
    await using client = sdk('ours', origin.url, { maxAttempts: 2 }, { handler: ours })
    for (const { s3 } of [default_, client])
      await expect(get(s3)).rejects.toMatchObject({ name: 'TimeoutError', $metadata: { attempts: 2 } })
    expect(origin.seen.length).toBe(4)
  })
}

test('socketTimeout ends a body that stalls while it is read', async () => {
  await using origin = await createOrigin(inTurn(`${ok}content-length: 10\r\n\r\nhello`))
  for (const handler of handlers) {
    const options = { socketTimeout: 60 }
    const config = handler === 'ours' ? {} : { requestHandler: options }
    await using own = sdk(handler, origin.url, { maxAttempts: 1, ...config }, { handler: options })
    await expect(get(own.s3)).rejects.toMatchObject({ name: 'TimeoutError' })
  }
})

test('requestTimeout of one call wins over that of the handler', async () => {
  await using origin = await createOrigin(inTurn(never))
  await using own = sdk('ours', origin.url, { maxAttempts: 1 }, { handler: { requestTimeout: 60_000 } })
  const call = own.s3.send(new GetObjectCommand(object), { requestTimeout: 40 })
  await expect(call).rejects.toMatchObject({ name: 'TimeoutError', code: 'ETIMEDOUT' })
})

test('what cannot be sent is refused as an error of the call', async () => {
  await using client = testClient()
  const handler = awsRequestHandler(client)
  const request = to(1, 'no slash')
  await expect(handler.handle(request)).rejects.toThrow(/path must be/)
})

test('a stream that breaks while it is sent fails the call with its error', async () => {
  await using origin = await createOrigin(inTurn(empty))
  await using own = sdk('ours', origin.url, { requestChecksumCalculation: 'WHEN_REQUIRED' })
  const Body = new Readable({ read: () => void Body.destroy(new Error('the disk is gone')) })
  const call = own.s3.send(new PutObjectCommand({ ...object, Body, ContentLength: 5 }))
  await expect(call).rejects.toThrow('the disk is gone')
})

test('options: unknown names and bad values are refused, by whichever way they come', async () => {
  await using client = testClient()
  expect(() => awsRequestHandler(client, { requestTimout: 1 } as object)).toThrow(
    /Unknown option requestTimout: did you mean requestTimeout\?/,
  )
  expect(() => awsRequestHandler(client, { socketTimeout: -1 })).toThrow(/^Option socketTimeout must be/)
  const handler = awsRequestHandler(client, { requestTimeout: 5 })
  expect(() => handler.updateHttpClientConfig('connectionTimeout', 1)).toThrow(/^Unknown option/)
  handler.updateHttpClientConfig('socketTimeout', 7)
  handler.updateHttpClientConfig(Symbol.for('logger'), console)
  expect(handler.httpHandlerConfigs()).toEqual({ requestTimeout: 5, socketTimeout: 7 })
})

test('the limit that the SDK sets for its service holds unless there is one of the user’s', async () => {
  await using origin = await createOrigin(inTurn(never))
  await using client = testClient()
  const request = to(origin.port)
  const handler = awsRequestHandler(client)
  handler.updateHttpClientConfig(Symbol.for('@smithy/defaultSocketTimeout'), 60)
  await expect(handler.handle(request)).rejects.toMatchObject({ name: 'TimeoutError' })
})

test('destroy() of an SDK client leaves the client open', async () => {
  await using origin = await createOrigin(inTurn(hello))
  await using own = sdk('ours', origin.url)
  expect(await get(own.s3)).toBe('hello')
  own.s3.destroy()
  expect(await (await own.client.fetch(origin.url)).text()).toBe('hello')
  expect(origin.accepted).toBe(1)
})
