/** The SDK's clients for an Azurite in this process. */
import { AzureNamedKeyCredential, TableClient, TableServiceClient } from '@azure/data-tables'
import {
  BlobServiceClient,
  StorageSharedKeyCredential,
  type StoragePipelineOptions,
} from '@azure/storage-blob'
import { QueueServiceClient, StorageSharedKeyCredential as QueueKey } from '@azure/storage-queue'
import { account, key } from '../../../examples/support/azurite.ts'
import type { AzureHttpClient } from '../../../src/adapters/azure.ts'

export { type Azurite, startAzurite } from '../../../examples/support/azurite.ts'

export interface Services {
  readonly blobs: BlobServiceClient
  readonly queues: QueueServiceClient
  readonly tables: TableServiceClient
  readonly table: (name: string) => TableClient
}

type Addresses = Readonly<Record<'blob' | 'queue' | 'table', { readonly url: string }>>

/** @param httpClient ours; the SDK's own if there is none */
export function services(
  at: Addresses,
  httpClient: AzureHttpClient | undefined,
  { retryOptions = {} }: Pick<StoragePipelineOptions, 'retryOptions'> = {},
): Services {
  const given = httpClient === undefined ? {} : { httpClient }
  const options = { ...given, retryOptions }
  const tableOptions = {
    ...given,
    allowInsecureConnection: true,
    retryOptions: { maxRetries: (retryOptions.maxTries ?? 4) - 1, retryDelayInMs: 1 },
  }
  const tableKey = new AzureNamedKeyCredential(account, key)
  return {
    blobs: new BlobServiceClient(at.blob.url, new StorageSharedKeyCredential(account, key), options),
    queues: new QueueServiceClient(at.queue.url, new QueueKey(account, key), options),
    tables: new TableServiceClient(at.table.url, tableKey, tableOptions),
    table: (name) => new TableClient(at.table.url, name, tableKey, tableOptions),
  }
}
