/** Downloads nobody reads: the SDK's own client keeps a socket for each; ours gets them back, whatever becomes of the stream. */
import diagnostics from 'node:diagnostics_channel'
import type { BlobClient } from '@azure/storage-blob'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { azureHttpClient } from '../../../src/adapters/azure.ts'
import type { Client } from '../../../src/index.ts'
import { testClient, works } from '../../support/client.ts'
import { createOrigin, type Origin, type Script } from '../../support/origin.ts'
import { until, untilCollected } from '../../support/until.ts'
import { type Azurite, type Services, services, startAzurite } from './azurite.ts'
import { whole } from './both.ts'
import { large, MiB } from './cycle.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

let azurite: Azurite
let reclaimed = 0
diagnostics.subscribe('drained:reclaim', () => reclaimed++)
const calls = 200
const content = large.subarray(0, MiB)

beforeAll(async () => {
  azurite = await startAzurite()
  const container = services(azurite, undefined).blobs.getContainerClient('unread')
  await container.create()
  await container.getBlockBlobClient('blob').upload(content, content.length)
}, 60_000)

afterAll(() => azurite[Symbol.asyncDispose]())

const blobOf = ({ blobs }: Services): BlobClient => blobs.getContainerClient('unread').getBlobClient('blob')

async function unread(blob: BlobClient, count: number): Promise<NodeJS.ReadableStream[]> {
  const streams: NodeJS.ReadableStream[] = []
  for (let i = 0; i < count; i++) {
    const { readableStreamBody } = await blob.download()
    streams.push(readableStreamBody as NodeJS.ReadableStream)
  }
  return streams
}

async function bytesOf(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

test(`${calls} unread downloads of 1 MiB: the SDK's own client holds ${calls} sockets, ours took 3 at the most`, async () => {
  const theirs = await unread(blobOf(services(azurite, undefined)), calls)
  expect(azurite.blob.open).toBeGreaterThanOrEqual(calls)
  for (const stream of theirs) (stream as unknown as { destroy(): void }).destroy()
  await until(() => azurite.blob.open <= 1, 'their sockets are gone')

  await using client = testClient({ connections: 3, drain: { memory: 2 * calls * MiB } })
  const accepted = azurite.blob.accepted
  const ours = await unread(blobOf(services(azurite, azureHttpClient(client))), calls)
  expect(azurite.blob.accepted - accepted).toBeLessThanOrEqual(3)
  // Whoever reads after all finds every byte.
  for (const stream of ours) expect((await bytesOf(stream)).equals(content)).toBe(true)
}, 60_000)

test('more than memory may hold: no call hangs, no socket is added, and who reads after all finds every byte', async () => {
  await using client = testClient({ connections: 3, drain: { memory: 8 * MiB, stall: 20 } })
  const before = azurite.blob.open
  const blob = blobOf(services(azurite, azureHttpClient(client)))
  const streams = await unread(blob, 40)
  expect(azurite.blob.open - before).toBeLessThanOrEqual(3)
  expect(reclaimed).toBeGreaterThan(0)
  // The stream of the SDK asks again for what is missing.
  for (const stream of streams) expect((await bytesOf(stream)).equals(content)).toBe(true)
}, 60_000)

const part = Buffer.alloc(256 * 1024)

/** An origin whose blob never ends, and a small one. */
const endless: Script = async (seen, reply) => {
  if (seen.path === '/ok') return whole('200 OK', 'ok')(seen, reply)
  await reply.write(`HTTP/1.1 200 OK\r\ncontent-length: ${1024 * MiB}\r\netag: "1"\r\n\r\n`)
  while (reply.isOpen) await reply.write(part)
}

async function against(
  run: (blob: BlobClient, client: Client, origin: Origin) => Promise<void>,
): Promise<void> {
  await using origin = await createOrigin(endless)
  await using client = testClient({ connections: 1 })
  const at = { url: `${origin.url}/account` }
  await run(blobOf(services({ blob: at, queue: at, table: at }, azureHttpClient(client))), client, origin)
  await works(client, origin.url)
  await until(() => origin.open <= 1, 'no connection is left behind')
}

test('a stream that is destroyed gives its connection back at once', () =>
  against(async (blob, client) => {
    for (let i = 0; i < 5; i++) {
      const [stream] = (await unread(blob, 1)) as unknown as [{ destroy(): void }]
      stream.destroy()
    }
    await until(() => client.stats().bodies.closed === 5, 'all of them were closed')
  }))

test('leaving a loop over a stream gives its connection back', () =>
  against(async (blob, client) => {
    const [stream] = await unread(blob, 1)
    for await (const _ of stream as NodeJS.ReadableStream) break
    await until(() => client.stats().bodies.closed === 1, 'it was closed')
  }))

test('a stream nobody refers to any more gives its connection back', () =>
  against(async (blob, client) => {
    await (async () => void (await unread(blob, 1)))()
    await untilCollected(() => client.stats().bodies.closed === 1, 'it was closed')
  }))

test('an aborted download gives its connection back', () =>
  against(async (blob, client) => {
    const controller = new AbortController()
    const { readableStreamBody } = await blob.download(0, undefined, { abortSignal: controller.signal })
    const reading = bytesOf(readableStreamBody as NodeJS.ReadableStream).catch((error: Error) => error.name)
    controller.abort()
    expect(await reading).toBe('AbortError')
    await until(() => client.stats().bodies.closed === 1, 'it was closed')
  }))

test('a download somebody reads, however slowly, is not taken for another request; one nobody reads is', async () => {
  await using origin = await createOrigin(endless)
  await using client = testClient({ connections: 2, drain: { stall: 20 } })
  const at = { url: `${origin.url}/account` }
  const blob = blobOf(services({ blob: at, queue: at, table: at }, azureHttpClient(client)))
  const [read] = await unread(blob, 1)
  const iterator = (read as NodeJS.ReadableStream)[Symbol.asyncIterator]()
  const readOn = async (): Promise<number> => ((await iterator.next()).value as Buffer).length
  for (let bytes = 0; bytes < MiB;) bytes += await readOn()
  // Younger, so that the other would be taken first if it could be.
  const [forgotten] = await unread(blob, 1)
  const before = reclaimed
  await works(client, origin.url)
  expect(reclaimed - before).toBe(1)
  await readOn()
  await expect(bytesOf(forgotten as NodeJS.ReadableStream)).rejects.toThrow()
  await iterator.return?.()
})
