/** A download with storage-blob, read to its end as a stream: on the SDK's own HTTP client, and on ours. */
import { azureHttpClient } from '../src/adapters/azure.ts'
import { createClient } from '../src/index.ts'
import type { Make } from './transfers.ts'

const through =
  (isOurs: boolean): Make =>
  async (url) => {
    const { AnonymousCredential, BlobClient } = await import('@azure/storage-blob')
    const options = isOurs ? { httpClient: azureHttpClient(createClient()) } : {}
    const blob = new BlobClient(url, new AnonymousCredential(), options)
    return async () => {
      let bytes = 0
      for await (const chunk of (await blob.download()).readableStreamBody ?? []) bytes += chunk.length
      return bytes
    }
  }

export const blobCalls: Record<string, Make> = {
  azureHttpClient: through(true),
  "the SDK's own": through(false),
}
