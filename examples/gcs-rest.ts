/**
 * Google Cloud Storage by REST, with client.fetch alone. By default against a small one in this process; against the real one with
 * GCS_BUCKET and GCS_TOKEN (`gcloud auth print-access-token`), and GCS_ENDPOINT for another address.
 */
import { createClient } from '../src/index.ts'
import { startGcs } from './embedded/gcs.ts'

const { GCS_BUCKET: bucket = 'bucket', GCS_TOKEN, GCS_ENDPOINT } = process.env
const embedded = GCS_TOKEN === undefined && GCS_ENDPOINT === undefined ? await startGcs() : undefined

const gcs = createClient({
  name: 'gcs',
  origin: GCS_ENDPOINT ?? embedded?.url ?? 'https://storage.googleapis.com',
  ...(GCS_TOKEN !== undefined && { headers: { authorization: `Bearer ${GCS_TOKEN}` } }),
  timeout: { headers: 10_000, body: 30_000 },
})
const object = (name: string): string => `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`
const name = 'drained/example.txt'

const query = new URLSearchParams({ uploadType: 'media', name })
const uploaded = await gcs.fetch(`/upload/storage/v1/b/${bucket}/o?${query.toString()}`, {
  method: 'POST',
  body: 'hello from GCS',
  headers: { 'content-type': 'text/plain' },
})
const { size } = (await uploaded.json()) as { size: string }
console.log(`uploaded ${size} bytes`)

const downloaded = await gcs.fetch(`${object(name)}?alt=media`)
console.log(await downloaded.text())

const listed = await gcs.fetch(`/storage/v1/b/${bucket}/o?prefix=drained/`)
const { items } = (await listed.json()) as { items: { name: string }[] }
console.log(items.map((each) => each.name).join('\n'))

// The status says it all; the body of the error is left unread.
const missing = await gcs.fetch(object('drained/missing'))
console.log(`missing: ${missing.status}`)

const deleted = await gcs.fetch(object(name), { method: 'DELETE' })
console.log(`deleted: ${deleted.status}, ${gcs.stats().sockets.opened} connection`)

await gcs.close()
await embedded?.[Symbol.asyncDispose]()
