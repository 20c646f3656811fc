/** Bodies nobody reads: the SDK's own handler hangs on them, ours gives their sockets back. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import {
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { FetchHttpHandler } from '@smithy/fetch-http-handler'
import { expect, test } from 'vitest'
import { awsRequestHandler } from '../../../src/adapters/aws.ts'
import { BodyReclaimedError } from '../../../src/index.ts'
import { testClient } from '../../support/client.ts'
import { createOrigin, type Origin, type Script } from '../../support/origin.ts'
import { pattern } from '../../support/shapes.ts'
import { until, untilCollected } from '../../support/until.ts'
import { bucket as Bucket, plain, sdk, type Sdk, startS3 } from './support.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

const MiB = 1024 * 1024
const object = { Bucket, Key: 'key' }
const hung = Symbol('hung')
async function within(ms: number, promise: Promise<unknown>): Promise<unknown> {
  const { promise: late, resolve } = Promise.withResolvers()
  const timer = setTimeout(resolve, ms, hung)
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

async function unread(own: Sdk, calls: number): Promise<number> {
  const kept: unknown[] = []
  for (let done = 0; done < calls; done++) {
    const answer = await within(5_000, own.s3.send(new GetObjectCommand(object)))
    if (answer === hung) return done
    kept.push(answer)
  }
  return kept.length
}

test('200 unread objects of 1 MiB: the SDK’s own handler hangs at call 51', async () => {
  await using storage = await startS3()
  await using own = sdk('the SDK’s own', storage.url, plain)
  await own.s3.send(new PutObjectCommand({ ...object, Body: Buffer.alloc(MiB) }))
  expect(await unread(own, 200)).toBe(50)
  // Even without a body.
  expect(await within(1_000, own.s3.send(new HeadObjectCommand(object)))).toBe(hung)
  expect(storage.accepted).toBeGreaterThanOrEqual(50)
}, 60_000)

test('200 unread objects of 1 MiB through ours take at most 3 sockets, and the next call is answered', async () => {
  await using storage = await startS3()
  await using own = sdk('ours', storage.url, plain, { connections: 3, drain: { memory: 256 * MiB } })
  await own.s3.send(new PutObjectCommand({ ...object, Body: Buffer.alloc(MiB) }))
  const kept = await unread(own, 200)
  expect(kept).toBe(200)
  const { $metadata } = await own.s3.send(new HeadObjectCommand(object))
  expect($metadata.httpStatusCode).toBe(200)
  expect(storage.accepted).toBeLessThanOrEqual(3)
  // The budget is one for the process: the tests that follow need room.
  await untilCollected(() => own.client.stats().bodies.holding === 0, 'forgotten')
}, 60_000)

/** An object of any length, with its checksum. */
const serve: Script = async (seen, reply) => {
  const [, length] = /\/(\d+)/.exec(seen.path) ?? []
  const bytes = pattern(Number(length ?? 2))
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(bytes))
  await reply.write(
    `HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\nx-amz-checksum-crc32: ${sum.toString('base64')}\r\n\r\n`,
  )
  for (let at = 0; at < bytes.length && reply.isOpen; at += 64 * 1024)
    await reply.write(bytes.subarray(at, at + 64 * 1024))
}

const get = (own: Sdk, length: number): Promise<GetObjectCommandOutput> =>
  own.s3.send(new GetObjectCommand({ Bucket, Key: String(length) }))

for (const [name, config] of [
  ['with checksums', {}],
  ['without checksums', plain],
] as const) {
  const open = async (options: object): Promise<[Origin, Sdk]> => {
    const origin = await createOrigin(serve)
    return [origin, sdk('ours', origin.url, config, options)]
  }

  test(`${name}: 100 unread bodies are on few connections if they can be held`, async () => {
    const [origin, own] = await open({ connections: 2 })
    const kept: GetObjectCommandOutput[] = []
    for (let i = 0; i < 100; i++) kept.push(await get(own, 100_000))
    expect(origin.accepted).toBeLessThanOrEqual(2)
    // Late readers get all of it, checked.
    for (const { Body } of kept)
      expect(pattern(100_000).equals(await Body!.transformToByteArray())).toBe(true)
    await own[Symbol.asyncDispose]()
    await origin.close()
  })

  test(`${name}: longer ones are taken back while others wait, and a late reader hears of it`, async () => {
    const [origin, own] = await open({ connections: 2, drain: { stall: 20 } })
    const kept: GetObjectCommandOutput[] = []
    for (let i = 0; i < 6; i++) kept.push(await get(own, 3 * MiB))
    const error = await kept[0]?.Body?.transformToByteArray().catch((error: unknown) => error)
    expect(error).toBeInstanceOf(BodyReclaimedError)
    // One that is read, however late, is never taken.
    const bytes = await kept.at(-1)?.Body?.transformToByteArray()
    expect(pattern(3 * MiB).equals(bytes ?? Buffer.of())).toBe(true)
    await own[Symbol.asyncDispose]()
    await origin.close()
  })

  test(`${name}: a forgotten body is given up, one that is read on without anybody’s hand on it is not`, async () => {
    const [origin, own] = await open({ connections: 2 })
    let length = 0
    const read = await (async () => {
      await get(own, 3 * MiB)
      const { Body } = await get(own, 5 * MiB)
      const stream = (Body as Readable).on('data', (chunk: Buffer) => (length += chunk.length))
      return once(stream, 'end')
    })()
    expect([read, length]).toEqual([[], 5 * MiB])
    await untilCollected(() => own.client.stats().sockets.inFlight === 0, 'given up')
    const { drained, closed } = own.client.stats().bodies
    expect(drained + closed).toBe(1)
    await own[Symbol.asyncDispose]()
    await origin.close()
  })

  test(`${name}: a body that is destroyed gives its connection back at once`, async () => {
    const [origin, own] = await open({ connections: 1 })
    for (let i = 0; i < 10; i++) {
      const { Body } = await get(own, 600_000)
      ;(Body as Readable).destroy()
    }
    await until(() => own.client.stats().sockets.draining === 0, 'drained')
    expect((await (await get(own, 2)).Body?.transformToByteArray())?.length).toBe(2)
    expect(origin.seen.length).toBe(11)
    await own[Symbol.asyncDispose]()
    await origin.close()
  })
}

test('a body that does not match its checksum fails its reader', async () => {
  await using origin = await createOrigin((_, reply) =>
    reply.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\nhello'),
  )
  await using own = sdk('ours', origin.url)
  const { Body } = await own.s3.send(new GetObjectCommand(object))
  await expect(Body?.transformToString()).rejects.toThrow(/^Checksum mismatch/)
})

test('FetchHttpHandler on client.fetch: the same for who has one already', async () => {
  await using storage = await startS3()
  await using client = testClient({ connections: 3 })
  const requestHandler = new FetchHttpHandler({ customFetch: client.fetch })
  await using own = sdk('the SDK’s own', storage.url, { ...plain, requestHandler })
  await own.s3.send(new PutObjectCommand({ ...object, Body: pattern(MiB) }))
  const kept: GetObjectCommandOutput[] = []
  for (let i = 0; i < 30; i++) kept.push(await own.s3.send(new GetObjectCommand(object)))
  expect(storage.accepted).toBeLessThanOrEqual(3)
  expect(pattern(MiB).equals(await kept[0]!.Body!.transformToByteArray())).toBe(true)
  const missing = own.s3.send(new GetObjectCommand({ ...object, Key: 'missing' }))
  await expect(missing).rejects.toMatchObject({ name: 'NoSuchKey' })
  // Longer than what is received ahead: nothing is left to abort of a body that has arrived.
  const long = { Bucket, Key: 'long' }
  await own.s3.send(new PutObjectCommand({ ...long, Body: pattern(4 * MiB) }))
  const aborted = new AbortController()
  const { Body } = await own.s3.send(new GetObjectCommand(long), { abortSignal: aborted.signal })
  aborted.abort()
  await expect(Body?.transformToString()).rejects.toMatchObject({ name: 'AbortError' })
})

test('one handler serves several SDK clients, on one pool', async () => {
  await using origin = await createOrigin(serve)
  await using client = testClient({ connections: 4 })
  const requestHandler = awsRequestHandler(client)
  for (let i = 0; i < 3; i++) {
    await using own = sdk('the SDK’s own', origin.url, { requestHandler })
    await (await get(own, 500)).Body?.transformToByteArray()
  }
  expect(origin.accepted).toBe(1)
})
