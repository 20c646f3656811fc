/** What docs/google.md says of @google-cloud/storage: where it can be given a transport, and where not. */
import http from 'node:http'
import { createRequire } from 'node:module'
import { Storage } from '@google-cloud/storage'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Gcs, startGcs } from '../../../examples/embedded/gcs.ts'

let gcs: Gcs
beforeEach(async () => void (gcs = await startGcs()))
afterEach(() => gcs[Symbol.asyncDispose]())

const storage = (): Storage =>
  new Storage({ apiEndpoint: gcs.url, projectId: 'p', retryOptions: { maxRetries: 0 } })
const { pool } = createRequire(import.meta.url)('teeny-request/build/src/agents') as {
  pool: Map<string, http.Agent>
}

class Counting extends http.Agent {
  created = 0
  override createConnection(...args: Parameters<http.Agent['createConnection']>) {
    this.created++
    return super.createConnection(...args)
  }
}

async function roundTrip(): Promise<string> {
  const file = storage().bucket('bucket').file('name')
  await file.save('hello', { resumable: false, validation: false })
  const [bytes] = await file.download({ validation: false })
  return bytes.toString()
}

test('it asks neither the global fetch nor the global agent', async () => {
  const [fetch, agent] = [globalThis.fetch, http.globalAgent]
  const counting = new Counting()
  let fetched = 0
  globalThis.fetch = (...call) => (fetched++, fetch(...call))
  http.globalAgent = counting
  pool.clear()
  try {
    expect(await roundTrip()).toContain('hello')
  } finally {
    globalThis.fetch = fetch
    http.globalAgent = agent
    for (const each of pool.values()) each.destroy()
    pool.clear()
  }
  expect([fetched, counting.created]).toEqual([0, 0])
  expect(gcs.seen.length).toBeGreaterThan(1)
})

test('an agent put into the pool of teeny-request carries it', async () => {
  const counting = new Counting({ keepAlive: true })
  pool.set('http:forever', counting)
  try {
    expect(await roundTrip()).toContain('hello')
  } finally {
    counting.destroy()
    pool.clear()
  }
  expect(counting.created).toBe(gcs.accepted)
  expect(counting.created).toBeGreaterThan(0)
})
