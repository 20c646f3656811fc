/** The SDKs' own retries work on our client as on theirs: the same attempts, the same outcome, and no connection lost to one. */
import { expect, test } from 'vitest'
import { azureHttpClient } from '../../../src/adapters/azure.ts'
import { testClient } from '../../support/client.ts'
import { createOrigin, type Script } from '../../support/origin.ts'
import { type Services, services } from './azurite.ts'
import { bytesOf, whole } from './both.ts'
import { outcomeOf } from './outcome.ts'

const operations: Record<string, (sdk: Services) => Promise<unknown>> = {
  'HEAD of a blob': async ({ blobs }) =>
    (await blobs.getContainerClient('c').getBlobClient('b').getProperties())._response.status,
  'GET of a blob': async ({ blobs }) => {
    const blob = blobs.getContainerClient('c').getBlobClient('b')
    return bytesOf((await blob.download()).readableStreamBody)
  },
  'PUT of a blob': async ({ blobs }) =>
    (await blobs.getContainerClient('c').getBlockBlobClient('b').upload('abc', 3))._response.status,
  'DELETE of a message': async ({ queues }) =>
    (await queues.getQueueClient('q').deleteMessage('id', 'receipt'))._response.status,
  'GET of an entity': async ({ table }) => (await table('t').getEntity('p', 'r'))['a'],
}

const busy =
  (status: string): Script =>
  async (seen, reply) => {
    if (seen.method === 'HEAD')
      await reply.write(`HTTP/1.1 ${status} Failed\r\ncontent-length: 20000\r\n\r\n`)
    else await whole(`${status} Failed`, 'x'.repeat(20_000))(seen, reply)
  }
const failures: Record<string, Script> = {
  503: busy('503'),
  500: busy('500'),
  429: busy('429'),
  408: busy('408'),
  'a reset': (_, reply) => reply.reset(),
  'a FIN': (_, reply) => reply.end(),
}

const success: Script = async (seen, reply) => {
  if (seen.method === 'HEAD') await reply.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n')
  else if (seen.method === 'PUT') await whole('201 Created')(seen, reply)
  else if (seen.method === 'DELETE') await reply.write('HTTP/1.1 204 No Content\r\n\r\n')
  else await whole('200 OK\r\netag: "1"\r\ncontent-type: application/json', '{"a":1}')(seen, reply)
}

interface Observed {
  readonly outcome: unknown
  readonly attempts: readonly string[]
}

async function observe(
  name: string,
  call: (sdk: Services) => Promise<unknown>,
  isOurs: boolean,
): Promise<Observed> {
  const failure = failures[name] as Script
  await using origin = await createOrigin((seen, reply) =>
    origin.seen.length <= 2 ? failure(seen, reply) : success(seen, reply),
  )
  const at = { url: `${origin.url}/account` }
  const sdk = (httpClient: Parameters<typeof services>[1]): Services =>
    services({ blob: at, queue: at, table: at }, httpClient, {
      retryOptions: { maxTries: 4, retryDelayInMs: 1 },
    })
  if (!isOurs) {
    const outcome = await outcomeOf(() => call(sdk(undefined)))
    return { outcome, attempts: origin.seen.map(({ method }) => method) }
  }
  await using client = testClient()
  const outcome = await outcomeOf(() => call(sdk(azureHttpClient(client))))
  // What a failed attempt has answered costs no connection.
  if (name !== 'a reset' && name !== 'a FIN') expect(origin.accepted).toBe(1)
  return { outcome, attempts: origin.seen.map(({ method }) => method) }
}

const cases = Object.keys(operations).flatMap((operation) =>
  Object.keys(failures).map((failure) => [operation, failure]),
)

test.each(cases)(
  '%s is tried as often, and ends alike, after %s twice',
  async (operation = '', failure = '') => {
    const call = operations[operation]!
    const theirs = await observe(failure, call, false)
    expect(await observe(failure, call, true)).toEqual(theirs)
    if (!['429', '408'].includes(failure)) {
      expect(theirs.attempts).toHaveLength(3)
      expect(theirs.outcome).toHaveProperty('value')
    }
  },
)

test('a download that breaks off is resumed where it was, by the stream of the SDK, which takes it for an abort of its user on its own client', async () => {
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251))
  const script: Script = async (seen, reply) => {
    const from = Number(/x-ms-range: bytes=(\d+)-/.exec(seen.headers)?.[1] ?? 0)
    const rest = bytes.subarray(from)
    await reply.write(
      `HTTP/1.1 ${from === 0 ? 200 : 206} OK\r\ncontent-length: ${rest.length}\r\netag: "1"\r\n\r\n`,
    )
    const isLast = from >= 60_000
    await reply.write(isLast ? rest : rest.subarray(0, 30_000))
    if (!isLast) reply.end()
  }
  const read = async (isOurs: boolean): Promise<unknown> => {
    await using origin = await createOrigin(script)
    await using client = testClient()
    const at = { url: `${origin.url}/account` }
    const { blobs } = services(
      { blob: at, queue: at, table: at },
      isOurs ? azureHttpClient(client) : undefined,
    )
    const { readableStreamBody } = await blobs.getContainerClient('c').getBlobClient('b').download()
    const chunks: Buffer[] = []
    for await (const chunk of readableStreamBody as AsyncIterable<Buffer>) chunks.push(chunk)
    return [Buffer.concat(chunks).equals(bytes), origin.seen.length]
  }
  await expect(read(false)).rejects.toMatchObject({ name: 'AbortError' })
  expect(await read(true)).toEqual([true, 3])
})
