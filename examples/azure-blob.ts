/** storage-blob on a client of ours: blobs in and out, and 50 downloads nobody reads on a few connections. */
import { buffer } from 'node:stream/consumers'
import { BlobServiceClient } from '@azure/storage-blob'
import { azureHttpClient } from '../src/adapters/azure.ts'
import { createClient } from '../src/index.ts'
import { storage } from './support/azurite.ts'

const account = await storage()
const client = createClient({ name: 'blob', connections: 16 })
const service = BlobServiceClient.fromConnectionString(account.connectionString, {
  httpClient: azureHttpClient(client),
})

const container = service.getContainerClient(`example-${Date.now()}`)
await container.create()
const blob = container.getBlockBlobClient('numbers')
const content = Buffer.alloc(1024 * 1024, '0123456789')
await blob.uploadData(content, {
  blockSize: 256 * 1024,
  maxSingleShotSize: 256 * 1024,
  onProgress: ({ loadedBytes }) => console.log(`uploaded ${loadedBytes}`),
})
const { readableStreamBody } = await blob.download()
const isSame = (await buffer(readableStreamBody as NodeJS.ReadableStream)).equals(content)
console.log(`downloaded ${isSame ? 'the same' : 'something else'}`)

// On the SDK's own HTTP client, each of these keeps a socket until the process ends.
const kept: unknown[] = []
for (let i = 0; i < 50; i++) kept.push(await blob.download())
const { opened } = client.stats().sockets
console.log(`${kept.length} downloads, none read, ${opened <= 16 ? 'at most 16' : opened} connections`)

try {
  await container.getBlobClient('missing').download()
} catch (error) {
  console.log(`missing: ${(error as { statusCode?: number }).statusCode}`)
}
await container.delete()
await client.close()
await account[Symbol.asyncDispose]()
