/** A day of a program that uses storage: blobs, queues and tables, written and read in every way there is, and what goes wrong. */
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import type { ContainerClient } from '@azure/storage-blob'
import { outcomeOf } from './outcome.ts'
import type { Services } from './azurite.ts'

export const MiB: number = 1024 * 1024
/** No two of its pages are alike. */
export const large: Buffer = Buffer.alloc(16 * MiB)
for (let at = 0; at < large.length; at += 4) large.writeUInt32LE(at, at)

export interface Step {
  readonly name: string
  run(services: Services): Promise<unknown>
  readonly expected: unknown
}

const container = ({ blobs }: Services): ContainerClient => blobs.getContainerClient('everyday')
const value = (expected: unknown): unknown => ({ value: expected })
const rest = (status: number, code?: string): object => ({
  name: 'RestError',
  code,
  status,
  isRestError: true,
  isInstance: true,
})
const abortError = (message: string): object => ({
  name: 'AbortError',
  code: undefined,
  status: undefined,
  isRestError: false,
  isInstance: false,
  message,
})

function* parts(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function bytesOf(stream: NodeJS.ReadableStream | undefined): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

export const steps: readonly Step[] = [
  {
    name: 'a container is created',
    run: async (s) => (await container(s).create())._response.status,
    expected: value(201),
  },
  {
    name: 'a container that exists is not created again',
    run: (s) => container(s).create(),
    expected: rest(409, 'ContainerAlreadyExists'),
  },
  {
    name: 'a string is uploaded, with the headers, tags and metadata it is given',
    run: async (s) => {
      const blob = container(s).getBlockBlobClient('string ü.txt')
      const { _response } = await blob.upload('grüße', 7, {
        blobHTTPHeaders: { blobContentType: 'text/plain' },
        metadata: { Case: 'Kept' },
      })
      const { contentType, contentLength, metadata } = await blob.getProperties()
      return [_response.status, contentType, contentLength, metadata]
    },
    expected: value([201, 'text/plain', 7, { case: 'Kept' }]),
  },
  {
    name: 'views, array buffers and functions that make streams are uploaded',
    run: async (s) => {
      const read: string[] = []
      const view = new Uint8Array(large.buffer, large.byteOffset + 8, 4)
      for (const body of [view, view.slice().buffer, () => Readable.from([view])] as const) {
        const blob = container(s).getBlockBlobClient('view')
        await blob.upload(body, 4)
        read.push((await blob.downloadToBuffer()).toString('hex'))
      }
      return read
    },
    expected: value(['08000000', '08000000', '08000000']),
  },
  {
    name: 'an empty blob is written and read',
    run: async (s) => {
      const blob = container(s).getBlockBlobClient('empty')
      await blob.upload('', 0)
      return text((await blob.download()).readableStreamBody as Readable)
    },
    expected: value(''),
  },
  {
    name: '16 MiB are uploaded at once, in blocks with their progress, and downloaded whole',
    run: async (s) => {
      const blob = container(s).getBlockBlobClient('large')
      await blob.upload(large, large.length)
      const isWhole = (await blob.downloadToBuffer()).equals(large)
      const seen: number[] = []
      await blob.uploadData(large, {
        blockSize: 4 * MiB,
        maxSingleShotSize: MiB,
        concurrency: 1,
        onProgress: ({ loadedBytes }) => seen.push(loadedBytes),
      })
      return [isWhole, seen, (await blob.getBlockList('committed')).committedBlocks?.length]
    },
    expected: value([true, [4 * MiB, 8 * MiB, 12 * MiB, 16 * MiB], 4]),
  },
  {
    name: 'a stream of unknown length is uploaded in blocks',
    run: async (s) => {
      const blob = container(s).getBlockBlobClient('from-stream')
      await blob.uploadStream(Readable.from(parts(large.subarray(0, 5 * MiB + 1), 100_000)), MiB, 3)
      return (await blob.downloadToBuffer()).equals(large.subarray(0, 5 * MiB + 1))
    },
    expected: value(true),
  },
  {
    name: 'a stream whose length is told is uploaded, with its progress',
    run: async (s) => {
      let last = 0
      const blob = container(s).getBlockBlobClient('from-readable')
      const body = (): Readable => Readable.from(parts(large.subarray(0, MiB), 60_000))
      await blob.upload(body, MiB, { onProgress: ({ loadedBytes }) => (last = loadedBytes) })
      return [last, (await blob.downloadToBuffer()).equals(large.subarray(0, MiB))]
    },
    expected: value([MiB, true]),
  },
  {
    name: 'a blob is downloaded as a stream, with its progress',
    run: async (s) => {
      let last = 0
      const blob = container(s).getBlobClient('large')
      const { readableStreamBody, contentLength } = await blob.download(0, undefined, {
        onProgress: ({ loadedBytes }) => (last = loadedBytes),
      })
      return [(await bytesOf(readableStreamBody)).equals(large), contentLength, last]
    },
    expected: value([true, 16 * MiB, 16 * MiB]),
  },
  {
    name: 'a range is downloaded',
    run: async (s) => {
      const { readableStreamBody, contentRange, _response } = await container(s)
        .getBlobClient('large')
        .download(3 * MiB + 1, 300_000)
      const bytes = await bytesOf(readableStreamBody)
      return [
        _response.status,
        contentRange,
        bytes.equals(large.subarray(3 * MiB + 1, 3 * MiB + 1 + 300_000)),
      ]
    },
    expected: value([206, `bytes 3145729-3445728/${16 * MiB}`, true]),
  },
  {
    name: 'a blob stored compressed comes as it is stored',
    run: async (s) => {
      const blob = container(s).getBlockBlobClient('packed')
      const packed = gzipSync('unpacked')
      await blob.upload(packed, packed.length, { blobHTTPHeaders: { blobContentEncoding: 'gzip' } })
      const { readableStreamBody, contentEncoding } = await blob.download()
      return [contentEncoding, (await bytesOf(readableStreamBody)).equals(packed)]
    },
    expected: value(['gzip', true]),
  },
  {
    name: 'blobs are listed, in pages',
    run: async (s) => {
      const pages: string[][] = []
      for await (const page of container(s).listBlobsFlat().byPage({ maxPageSize: 4 }))
        pages.push(page.segment.blobItems.map(({ name }) => name))
      return pages
    },
    expected: value([
      ['empty', 'from-readable', 'from-stream', 'large'],
      ['packed', 'string ü.txt', 'view'],
    ]),
  },
  {
    name: 'a blob that is not there is a RestError with status and code, and exists() is false',
    run: async (s) => {
      const missing = container(s).getBlobClient('missing')
      return [
        await missing.exists(),
        await outcomeOf(() => missing.download()),
        await outcomeOf(() => missing.getProperties()),
      ]
    },
    expected: value([false, rest(404, 'BlobNotFound'), rest(404)]),
  },
  {
    name: 'conditions hold: 412 and 304',
    run: async (s) => {
      const blob = container(s).getBlockBlobClient('view')
      const { etag = '' } = await blob.getProperties()
      return [
        await outcomeOf(() => blob.upload('x', 1, { conditions: { ifNoneMatch: '*' } })),
        await outcomeOf(() => blob.upload('x', 1, { conditions: { ifMatch: '"0x1"' } })),
        await outcomeOf(() => blob.download(0, undefined, { conditions: { ifNoneMatch: etag } })),
        await outcomeOf(
          async () => (await blob.getProperties({ conditions: { ifMatch: etag } })).contentLength,
        ),
      ]
    },
    expected: value([rest(409, 'BlobAlreadyExists'), rest(412, 'ConditionNotMet'), rest(304), value(4)]),
  },
  {
    name: 'a lease, a snapshot, a copy and metadata',
    run: async (s) => {
      const blob = container(s).getBlockBlobClient('view')
      const lease = blob.getBlobLeaseClient('00000000-0000-4000-8000-000000000001')
      await lease.acquireLease(15)
      const refused = await outcomeOf(() => blob.upload('x', 1))
      await lease.releaseLease()
      await blob.setMetadata({ a: '1' })
      const { snapshot } = await blob.createSnapshot()
      const copied = await (
        await container(s).getBlobClient('copy').beginCopyFromURL(blob.url, { intervalInMs: 10 })
      ).pollUntilDone()
      return [refused, typeof snapshot, copied.copyStatus]
    },
    expected: value([rest(412, 'LeaseIdMissing'), 'string', 'success']),
  },
  {
    name: 'a signal aborts a download half way, and before it begins',
    run: async (s) => {
      const blob = container(s).getBlobClient('large')
      const controller = new AbortController()
      const half = async (): Promise<void> => {
        const { readableStreamBody } = await blob.download(0, undefined, { abortSignal: controller.signal })
        for await (const _ of readableStreamBody as Readable) controller.abort()
      }
      return [
        await outcomeOf(half),
        await outcomeOf(() => blob.download(0, undefined, { abortSignal: controller.signal })),
      ]
    },
    expected: value([
      abortError('The operation was aborted.'),
      abortError('The operation was aborted. Request has already been canceled.'),
    ]),
  },
  {
    name: 'blobs and the container are deleted',
    run: async (s) => {
      const blob = container(s).getBlobClient('view')
      const deleted = await blob.deleteIfExists({ deleteSnapshots: 'include' })
      return [
        deleted.succeeded,
        (await blob.deleteIfExists()).succeeded,
        (await container(s).delete())._response.status,
      ]
    },
    expected: value([true, false, 202]),
  },
  {
    name: 'messages are queued, peeked, changed, received and deleted',
    run: async ({ queues }) => {
      const queue = queues.getQueueClient('everyday')
      const created = [(await queue.create())._response.status, (await queue.createIfNotExists()).succeeded]
      await queue.sendMessage('one <&> ü')
      const { peekedMessageItems } = await queue.peekMessages()
      const { receivedMessageItems } = await queue.receiveMessages()
      const [first] = receivedMessageItems
      const changed = await queue.updateMessage(first?.messageId ?? '', first?.popReceipt ?? '', 'two', 1)
      const deleted = await queue.deleteMessage(first?.messageId ?? '', changed.popReceipt ?? '')
      const none = (await queue.receiveMessages()).receivedMessageItems.length
      const gone = await outcomeOf(() => queues.getQueueClient('missing').sendMessage('x'))
      await queue.clearMessages()
      const statuses = [
        changed._response.status,
        deleted._response.status,
        (await queue.delete())._response.status,
      ]
      return [created, peekedMessageItems[0]?.messageText, first?.messageText, statuses, none, gone]
    },
    expected: value([[201, false], 'one <&> ü', 'one <&> ü', [204, 204, 204], 0, rest(404, 'QueueNotFound')]),
  },
  {
    name: 'entities are created, read, changed, listed, sent in a transaction and deleted',
    run: async ({ table }) => {
      const everyday = table('everyday')
      await everyday.createTable()
      await everyday.createEntity({ partitionKey: 'p', rowKey: '1', text: 'ü', count: 1 })
      const again = await outcomeOf(() => everyday.createEntity({ partitionKey: 'p', rowKey: '1' }))
      await everyday.updateEntity({ partitionKey: 'p', rowKey: '1', count: 2 }, 'Merge')
      const { text: read, count } = await everyday.getEntity<{ text: string; count: number }>('p', '1')
      const { status } = await everyday.submitTransaction(
        ['2', '3'].map((rowKey) => ['create', { partitionKey: 'p', rowKey, count: 3 }]),
      )
      const rows: string[] = []
      for await (const page of everyday.listEntities().byPage({ maxPageSize: 2 }))
        rows.push(page.map(({ rowKey }) => rowKey).join())
      const missing = await outcomeOf(() => everyday.getEntity('p', 'missing'))
      await everyday.deleteEntity('p', '1')
      await everyday.deleteTable()
      return [again, read, count, status, rows, missing]
    },
    expected: value([rest(409), 'ü', 2, 202, ['1,2', '3'], rest(404)]),
  },
]
