/** The public names of `drained/storage`: retry policies that know a storage service. */
import './node-version.ts'

export type {
  AzureStorageOptions,
  GcsOptions,
  S3Backoff,
  S3Options,
  StorageBackoff,
  StorageOptions,
} from './options/storage.ts'
export { azureStorage } from './retry/storage/azure.ts'
export { gcs } from './retry/storage/gcs.ts'
export { s3 } from './retry/storage/s3.ts'
