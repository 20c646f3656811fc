/** What gcs() decides, on made-up outcomes, with Google's documented figures, and its table of what may be sent twice. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GcsPolicy } from '../../../src/retry/storage/gcs.ts'
import type { GcsOptions } from '../../../src/storage.ts'
import { type Call, type End, play, type Played, timedOut } from './support.ts'

const run = (ends: readonly End[], call: Call = {}, options: GcsOptions = {}): Promise<Played> =>
  play(new GcsPolicy(options, () => 0.5), ends, call)

test('four attempts, one, two and four seconds apart and up to one more', async () => {
  const { waits, because } = await run([{ status: 503 }])
  expect(waits).toEqual([1_500, 2_500, 4_500])
  expect(because).toBe('attempts')
})

test('waits double, and are never longer than 64 seconds', async () => {
  const { waits } = await run([{ status: 503 }], {}, { maxAttempts: 9 })
  expect(waits).toEqual([1_500, 2_500, 4_500, 8_500, 16_500, 32_500, 64_000, 64_000])
})

test('no attempt begins ten minutes after the call', async () => {
  const played = await run([{ status: 503 }], { takes: 299_500 })
  expect(played.sent).toHaveLength(2)
  expect(played.because).toBe('policy')
})

test.each([
  [{ status: 408 }, true],
  [{ status: 429 }, true],
  [{ status: 500 }, true],
  [{ status: 502 }, true],
  [{ status: 503 }, true],
  [{ status: 504 }, true],
  [{ status: 200 }, false],
  [{ status: 304 }, false],
  [{ status: 308 }, false],
  [{ status: 400 }, false],
  [{ status: 404 }, false],
  [{ status: 409 }, false],
  [{ status: 412 }, false],
  [{ code: 'ECONNRESET' }, true],
  [{ code: 'UND_ERR_SOCKET' }, true],
  [{ code: 'EAI_AGAIN' }, true],
  [{ code: 'ERR_INVALID_URL' }, false],
  [timedOut('headers'), true],
  [timedOut('queue'), false],
] as [End, boolean][])('%j is worth another attempt: %s', async (end, again) => {
  expect((await run([end, { status: 200 }])).sent).toHaveLength(again ? 2 : 1)
})

test('Retry-After makes a wait longer, and ends the call if it is too long', async () => {
  const busy = (seconds: string): End => ({ status: 429, headers: { 'retry-after': seconds } })
  expect((await run([busy('7'), { status: 200 }])).waits).toEqual([7_000])
  expect((await run([busy('0'), { status: 200 }])).waits).toEqual([1_500])
  expect((await run([busy('61'), { status: 200 }])).because).toBe('retry-after')
})

const none = {}
const etag = { 'if-match': '"CJ=="' }
const generation = { 'x-goog-if-generation-match': '7' }

describe('JSON API', () => {
  test.each([
    ['GET', 'b/box/o', none, true],
    ['HEAD', 'b/box/o/item?alt=media', none, true],
    ['GET', 'b/box/iam/testPermissions?permissions=x', none, true],
    ['POST', 'b?project=p', none, true],
    ['DELETE', 'b/box', none, true],
    ['PATCH', 'b/box', none, false],
    ['PATCH', 'b/box?ifMetagenerationMatch=3', none, true],
    ['PUT', 'b/box', etag, true],
    ['PUT', 'b/box?ifMetagenerationNotMatch=3', none, false],
    ['POST', 'b/box/lockRetentionPolicy?ifMetagenerationMatch=3', none, true],
    ['PUT', 'b/box/iam', none, false],
    ['PUT', 'b/box/iam', etag, true],
    ['POST', 'b/box/o?uploadType=media&name=x', none, false],
    ['POST', 'b/box/o?uploadType=media&name=x&ifGenerationMatch=0', none, true],
    ['POST', 'b/box/o?name=x&ifGenerationMatch=', none, false],
    ['POST', 'b/box/o?name=x&ifMetagenerationMatch=1', none, false],
    ['POST', 'b/box/o?name=x', etag, false],
    ['POST', 'b/box/o?name=x', generation, false],
    ['DELETE', 'b/box/o/a%2Fb', none, false],
    ['DELETE', 'b/box/o/a%2Fb?ifGenerationMatch=5', none, true],
    ['DELETE', 'b/box/o/a%2Fb?generation=5', none, true],
    ['PATCH', 'b/box/o/item', none, false],
    ['PATCH', 'b/box/o/item?ifMetagenerationMatch=1', none, true],
    ['PATCH', 'b/box/o/item?ifGenerationMatch=1', none, false],
    ['PUT', 'b/box/o/item', etag, true],
    ['PUT', 'b/box/o/item', { 'if-match': '*' }, false],
    ['POST', 'b/box/o/item/compose', none, false],
    ['POST', 'b/box/o/item/compose?ifGenerationMatch=1', none, true],
    ['POST', 'b/box/o/item/rewriteTo/b/box2/o/item2', none, false],
    ['POST', 'b/box/o/item/rewriteTo/b/box2/o/item2?ifGenerationMatch=0', none, true],
    ['POST', 'b/box/o/item/copyTo/b/box2/o/item2?ifSourceGenerationMatch=9', none, false],
    ['POST', 'b/box/acl?ifMetagenerationMatch=1', etag, false],
    ['PATCH', 'b/box/o/item/acl/allUsers?ifMetagenerationMatch=1', etag, false],
    ['DELETE', 'b/box/defaultObjectAcl/allUsers', etag, false],
    ['POST', 'b/box/notificationConfigs', none, false],
    ['DELETE', 'b/box/notificationConfigs/3', none, true],
    ['POST', 'projects/p/hmacKeys?serviceAccountEmail=x', none, false],
    ['DELETE', 'projects/p/hmacKeys/k', none, true],
    ['PUT', 'projects/p/hmacKeys/k', none, false],
    ['PUT', 'projects/p/hmacKeys/k', etag, true],
  ])('%s %s %j may be sent twice: %s', async (method, path, headers, twice) => {
    for (const prefix of ['', '/upload', '/resumable/upload']) {
      const call = { method, headers, url: `https://storage.googleapis.com${prefix}/storage/v1/${path}` }
      expect((await run([{ status: 503 }, { status: 200 }], call)).sent).toHaveLength(twice ? 2 : 1)
    }
  })

  test('a part of a resumable upload may', async () => {
    const url = 'https://storage.googleapis.com/upload/storage/v1/b/box/o?uploadType=resumable&upload_id=x'
    for (const method of ['PUT', 'DELETE'])
      expect((await run([{ status: 503 }, { status: 200 }], { method, url })).sent).toHaveLength(2)
  })

  test('a batch may not', async () => {
    const url = 'https://storage.googleapis.com/batch/storage/v1'
    expect((await run([{ status: 503 }], { method: 'POST', url })).sent).toHaveLength(1)
  })
})

describe('XML API', () => {
  test.each([
    ['GET', '/item', none, true],
    ['PUT', '/item', none, false],
    ['PUT', '/item', generation, true],
    ['PUT', '/item', { 'x-goog-if-metageneration-match': '1' }, false],
    ['PUT', '/item?ifGenerationMatch=1', none, false],
    ['PUT', '/item?acl', generation, false],
    ['PUT', '/item?uploadId=u&partNumber=1', none, true],
    ['DELETE', '/item?uploadId=u', none, true],
    ['POST', '/item?uploads', none, false],
    ['POST', '/item?uploadId=u', none, false],
    ['DELETE', '/item', none, false],
    ['DELETE', '/item?generation=4', none, true],
    ['DELETE', '/item', generation, true],
  ])('%s %s %j may be sent twice: %s', async (method, path, headers, twice) => {
    const call = { method, headers, url: `https://box.storage.googleapis.com${path}` }
    expect((await run([{ status: 503 }, { status: 200 }], call)).sent).toHaveLength(twice ? 2 : 1)
  })
})

test('mayDuplicate: true sends everything again', async () => {
  const played = await run([{ status: 503 }], { method: 'POST' }, { mayDuplicate: true })
  expect(played.sent).toHaveLength(4)
})

test('attempts and waits stay within the figures, whatever comes', async () => {
  const end = fc.oneof(
    fc.record({
      status: fc.constantFrom(200, 304, 308, 400, 404, 408, 412, 429, 500, 503),
      headers: fc.constantFrom({}, { 'retry-after': '9' }, { 'retry-after': '600' }),
    }),
    fc.record({ code: fc.constantFrom('ECONNRESET', 'EPIPE', 'ERR_INVALID_ARG') }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(end, { minLength: 1, maxLength: 9 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 700_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
      async (ends, maxAttempts, takes, random, method) => {
        const policy = new GcsPolicy({ maxAttempts }, () => random)
        const { sent, waits } = await play(policy, ends, { takes, method })
        expect(sent.length).toBeLessThanOrEqual(method === 'GET' ? maxAttempts : 1)
        expect(sent.at(-1)?.at).toBeLessThan(600_000)
        for (const [index, wait] of waits.entries()) {
          expect(wait).toBeGreaterThanOrEqual(Math.min(64_000, 1_000 * 2 ** index))
          expect(wait).toBeLessThanOrEqual(Math.max(9_000, Math.min(64_000, 1_000 * 2 ** index + 1_000)))
        }
      },
    ),
  )
})
