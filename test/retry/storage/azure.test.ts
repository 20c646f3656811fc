/** What azureStorage() decides, on made-up outcomes, with the service's real figures. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AzureStoragePolicy } from '../../../src/retry/storage/azure.ts'
import type { AzureStorageOptions } from '../../../src/storage.ts'
import { type Call, type End, play, type Played, timedOut } from './support.ts'

const primary = 'https://account.example/box/item?a=b'
const second = 'https://account-secondary.example/box/item?a=b'
const secondary = 'account-secondary.example'

const run = (ends: readonly End[], options: AzureStorageOptions = {}, call: Call = {}): Promise<Played> =>
  play(new AzureStoragePolicy(options, () => 0.5), ends, call)
const hosts = ({ sent }: Played): string[] => sent.map(({ url }) => new URL(url).host)

test('a failure is tried again at once, then after 4 and 12 seconds', async () => {
  const { waits, because } = await run([{ status: 503 }])
  expect(waits).toEqual([0, 4_000, 12_000])
  expect(because).toBe('attempts')
})

test('waits double, and are never longer than two minutes', async () => {
  const { waits } = await run([{ status: 500 }], { maxAttempts: 8 })
  expect(waits).toEqual([0, 4_000, 12_000, 28_000, 60_000, 120_000, 120_000])
})

test('no number of attempts makes a wait that is no number', async () => {
  const { waits } = await run([{ status: 500 }], { maxAttempts: 1_100, backoff: { initial: 0 } })
  expect(new Set(waits)).toEqual(new Set([0]))
})

test.each([
  [{ status: 500 }, true],
  [{ status: 503 }, true],
  [{ status: 409, headers: { 'x-ms-error-code': 'ServerBusy' } }, true],
  [{ status: 408, headers: { 'x-ms-error-code': 'OperationTimedOut' } }, true],
  [{ status: 404, headers: { 'x-ms-copy-source-error-code': 'InternalError' } }, true],
  [{ status: 409, headers: { 'x-ms-error-code': 'ContainerBeingDeleted' } }, false],
  [{ status: 202, headers: { 'x-ms-copy-source-error-code': 'ServerBusy' } }, false],
  [{ status: 200 }, false],
  [{ status: 304 }, false],
  [{ status: 404 }, false],
  [{ status: 412 }, false],
  [{ status: 408 }, false],
  [{ status: 429 }, false],
  [{ status: 502 }, false],
  [{ status: 504 }, false],
  [{ code: 'ECONNRESET' }, true],
  [{ code: 'UND_ERR_SOCKET' }, true],
  [{ code: 'ENOTFOUND' }, true],
  [{ code: 'ERR_INVALID_URL' }, false],
  [timedOut('headers'), true],
  [timedOut('queue'), false],
  [timedOut('body'), false],
] as [End, boolean][])('%j is worth another attempt: %s', async (end, again) => {
  const { sent } = await run([end, { status: 200 }])
  expect(sent).toHaveLength(again ? 2 : 1)
})

test('statuses may be added', async () => {
  const statuses = [304, 429, 502]
  const { sent } = await run(
    [...statuses, 200].map((status) => ({ status })),
    { statuses },
  )
  expect(sent).toHaveLength(4)
})

test.each(['PUT', 'POST', 'DELETE', 'PATCH', 'MERGE'])('%s is sent again', async (method) => {
  expect((await run([{ status: 503 }, { status: 201 }], {}, { method })).sent).toHaveLength(2)
})

test.each([
  ['POST', '/queue/messages', {}, false],
  ['PUT', '/box/log?comp=appendblock', {}, false],
  ['PUT', '/box/log?comp=appendblock', { 'x-ms-blob-condition-appendpos': '7' }, true],
  ['PUT', '/box/item', {}, true],
  ['GET', '/box/item', {}, true],
])('mayDuplicate: false: %s %s %j is sent again: %s', async (method, path, headers, again) => {
  const call = { method, url: `https://account.example${path}`, headers }
  const played = await run([{ status: 503 }, { status: 201 }], { mayDuplicate: false }, call)
  expect(played.sent).toHaveLength(again ? 2 : 1)
  expect((await run([{ status: 503 }, { status: 201 }], {}, call)).sent).toHaveLength(2)
})

describe('with a secondary location', () => {
  test('reads go there every second time, and come back within a second', async () => {
    const { sent, waits } = await run([{ status: 503 }], { secondary, maxAttempts: 5 })
    expect(sent.map(({ url }) => url)).toEqual([primary, second, primary, second, primary])
    expect(waits).toEqual([0, 500, 12_000, 500])
  })

  test.each(['GET', 'HEAD', 'OPTIONS'])('%s goes there', async (method) => {
    expect(hosts(await run([{ status: 503 }, { status: 200 }], { secondary }, { method }))[1]).toBe(secondary)
  })

  test.each(['PUT', 'POST', 'DELETE'])('%s never does', async (method) => {
    const played = await run([{ status: 503 }], { secondary }, { method })
    expect(new Set(hosts(played))).toEqual(new Set(['account.example']))
    expect(played.waits).toEqual([0, 4_000, 12_000])
  })

  test('what it has not found is asked of the primary, and never of it again', async () => {
    const played = await run([{ status: 503 }, { status: 404 }, { status: 503 }], {
      secondary,
      maxAttempts: 6,
    })
    expect(hosts(played)).toEqual([
      'account.example',
      secondary,
      'account.example',
      'account.example',
      'account.example',
      'account.example',
    ])
    expect(played.waits).toEqual([0, 500, 12_000, 28_000, 60_000])
  })

  test('a 404 of the primary is an answer', async () => {
    const played = await run([{ status: 503 }, { status: 503 }, { status: 404 }], { secondary })
    expect(played.sent).toHaveLength(3)
    expect(played.because).toBe('policy')
  })

  test('a 404 of the secondary is the answer if there is no attempt left', async () => {
    const played = await run([{ status: 503 }, { status: 404 }], { secondary, maxAttempts: 2 })
    expect(played.last.response?.status).toBe(404)
  })

  test('it may have a port of its own, or the usual one', async () => {
    const url = 'http://127.0.0.1:8001/box?x=%2F'
    const at = async (host: string): Promise<unknown> =>
      (await run([{ status: 503 }, { status: 200 }], { secondary: host }, { url })).sent[1]?.url
    expect(await at('127.0.0.1:8002')).toBe('http://127.0.0.1:8002/box?x=%2F')
    expect(await at('other.example')).toBe('http://other.example/box?x=%2F')
    expect(await at('[::1]:80')).toBe('http://[::1]/box?x=%2F')
  })
})

describe('Retry-After', () => {
  const busy = (seconds: number): End => ({ status: 503, headers: { 'retry-after': String(seconds) } })

  test('makes a wait longer, never shorter', async () => {
    expect((await run([busy(5)])).waits).toEqual([5_000, 5_000, 12_000])
  })

  test('that is too long ends the call', async () => {
    const played = await run([busy(61)])
    expect(played).toMatchObject({ waits: [], because: 'retry-after' })
    expect((await run([busy(61), { status: 200 }], { maxRetryAfter: 61_000 })).waits).toEqual([61_000])
  })

  test('of one location is not heeded at the other, but when the call comes back', async () => {
    const { waits } = await run([busy(30), { status: 503 }, { status: 200 }], { secondary }, { takes: 100 })
    // The second attempt has taken a hundred milliseconds of it.
    expect(waits).toEqual([0, 30_000 - 100])
  })
})

test('attempts, waits and hosts stay within the figures, whatever comes', async () => {
  const end = fc.oneof(
    fc.record({
      status: fc.constantFrom(200, 206, 304, 400, 404, 408, 409, 412, 429, 500, 502, 503),
      headers: fc.constantFrom({}, { 'retry-after': '7' }, { 'x-ms-error-code': 'ServerBusy' }),
    }),
    fc.record({ code: fc.constantFrom('ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'ERR_INVALID_ARG') }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(end, { minLength: 1, maxLength: 8 }),
      fc.constantFrom('GET', 'HEAD', 'PUT', 'POST'),
      fc.integer({ min: 1, max: 8 }),
      fc.boolean(),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      async (ends, method, maxAttempts, hasSecond, random) => {
        const options = { maxAttempts, ...(hasSecond ? { secondary } : {}) }
        const policy = new AzureStoragePolicy(options, () => random)
        const played = await play(policy, ends, { method })
        expect(played.sent.length).toBeLessThanOrEqual(maxAttempts)
        let lost = false
        for (const [index, { url }] of played.sent.entries()) {
          if (index % 2 === 0 || method === 'PUT' || method === 'POST' || !hasSecond || lost) {
            expect(url).toBe(primary)
          } else expect(url).toBe(second)
          const given = ends[Math.min(index, ends.length - 1)]
          lost ||= url === second && given !== undefined && 'status' in given && given.status === 404
        }
        for (const [index, wait] of played.waits.entries()) {
          const own = Math.min((2 ** index - 1) * 4_000, 120_000)
          const isBack = played.sent[index]?.url === second
          expect(wait).toBeGreaterThanOrEqual(isBack ? 0 : own)
          expect(wait).toBeLessThanOrEqual(Math.max(isBack ? 1_000 : own, 7_000))
        }
      },
    ),
  )
})
