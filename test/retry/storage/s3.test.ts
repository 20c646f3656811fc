/** What s3() decides, on made-up outcomes, with AWS's real figures. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AttemptOutcome } from '../../../src/options/retry.ts'
import { capacity, S3Policy, TokenBudget } from '../../../src/retry/storage/s3.ts'
import type { S3Options } from '../../../src/storage.ts'
import { type Call, type End, play, type Played, s3Error, timedOut } from './support.ts'

const almostOne = 0.999_999
const run = (ends: readonly End[], call: Call = {}, options: S3Options = {}): Promise<Played> =>
  play(new S3Policy(options, () => almostOne), ends, call)
const rounded = ({ waits }: Played): number[] => waits.map((wait) => Math.round(wait))
const slowDown: End = { status: 503, body: s3Error('SlowDown') }

test('three attempts, up to 50 and 100 ms apart', async () => {
  const played = await run([{ status: 503, body: s3Error('ServiceUnavailable') }])
  expect(rounded(played)).toEqual([50, 100])
  expect(played.because).toBe('attempts')
})

test('when the service asks for fewer requests, up to one and two seconds', async () => {
  expect(rounded(await run([slowDown]))).toEqual([1_000, 2_000])
  expect(rounded(await run([{ status: 429 }]))).toEqual([1_000, 2_000])
})

test('waits double, are of full jitter, and never longer than 20 seconds', async () => {
  const played = await run([slowDown], {}, { maxAttempts: 8 })
  expect(rounded(played)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000])
  const none = await play(new S3Policy({}, () => 0), [slowDown])
  expect(none.waits).toEqual([0, 0])
})

test.each([
  [{ status: 400, body: s3Error('RequestTimeout') }, true],
  [{ status: 400, body: s3Error('ThrottlingException') }, true],
  [{ status: 400, body: s3Error('InvalidArgument') }, false],
  [{ status: 400, body: '' }, false],
  [{ status: 400, body: 'RequestTimeout' }, false],
  [{ status: 403, body: s3Error('RequestTimeTooSkewed') }, false],
  [{ status: 403, body: s3Error('RequestExpired') }, false],
  [{ status: 403, body: s3Error('SignatureDoesNotMatch') }, false],
  [{ status: 400, body: s3Error('RequestInTheFuture') }, false],
  [{ status: 404, body: s3Error('NoSuchKey') }, false],
  [{ status: 408 }, false],
  [{ status: 409, body: s3Error('OperationAborted') }, false],
  [{ status: 412 }, false],
  [{ status: 500, body: s3Error('InternalError') }, true],
  [{ status: 501, body: s3Error('NotImplemented') }, false],
  [{ status: 502, body: '<html>' }, true],
  [{ status: 504 }, true],
  [{ status: 509, body: s3Error('BandwidthLimitExceeded') }, true],
  [{ status: 304 }, false],
  [{ status: 200, body: s3Error('SlowDown') }, false],
  [{ code: 'ECONNRESET' }, true],
  [{ code: 'UND_ERR_SOCKET' }, true],
  [{ code: 'EAI_AGAIN' }, true],
  [{ code: 'CERT_HAS_EXPIRED' }, false],
  [timedOut('headers'), true],
  [timedOut('queue'), false],
] as [End, boolean][])('%j is worth another attempt: %s', async (end, again) => {
  const { sent } = await run([end, { status: 200 }])
  expect(sent).toHaveLength(again ? 2 : 1)
})

test('HEAD has no body to say why; its status is enough', async () => {
  const played = await run([{ status: 503 }, { status: 200 }], { method: 'HEAD' })
  expect(rounded(played)).toEqual([50])
})

test('the body of the answer can still be read', async () => {
  const played = await run([{ status: 400, body: s3Error('InvalidArgument') }])
  expect(await played.last.response?.text()).toContain('InvalidArgument')
})

const answered = (response: Response): AttemptOutcome => ({
  attempt: 1,
  method: 'GET',
  url: 'https://box.example/',
  headers: new Headers(),
  response,
  error: undefined,
  code: undefined,
  elapsed: 1,
  waited: 0,
})

test('of a body that does not end no more is read than an error has', async () => {
  let pulled = 0
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 4_096
      controller.enqueue(new Uint8Array(4_096))
    },
  })
  expect(await new S3Policy({}).next(answered(new Response(endless, { status: 400 })))).toEqual({
    retry: false,
  })
  expect(pulled).toBeLessThanOrEqual(16_384 + 3 * 4_096)
})

test('a body that does not come is not waited for', async () => {
  let isCancelled = false
  const silent = new ReadableStream<Uint8Array>({ cancel: () => void (isCancelled = true) })
  const response = new Response(silent, { status: 503 })
  expect(await new S3Policy({}, () => 0).next(answered(response))).toEqual({ retry: true, wait: 0 })
  expect(isCancelled).toBe(false)
  await response.body?.cancel()
  expect(isCancelled).toBe(true)
})

describe('a 200 that may hide an error', () => {
  const copy: Call = { method: 'PUT', headers: { 'x-amz-copy-source': '/box/item' } }
  const complete: Call = { method: 'POST', url: 'https://box.example/item?uploadId=7' }

  test.each([
    [copy, { status: 200, body: s3Error('InternalError') }, [50]],
    [copy, { status: 200, body: s3Error('SlowDown') }, [1_000]],
    [copy, { status: 200, body: '' }, [50]],
    [
      complete,
      { status: 200, body: `<?xml version="1.0"?>\n   \n<Error><Code>InternalError</Code></Error>` },
      [50],
    ],
    [complete, { status: 200, body: '<CompleteMultipartUploadResult/>' }, []],
    [copy, { status: 200, body: '<CopyObjectResult><Code>SlowDown</Code></CopyObjectResult>' }, []],
    [{ method: 'PUT' }, { status: 200, body: '' }, []],
    [{ method: 'POST', url: 'https://box.example/?delete' }, { status: 200, body: s3Error('SlowDown') }, []],
  ] as [Call, End, number[]][])('%j, %j: waits %j', async (call, end, waits) => {
    expect(rounded(await run([end, { status: 200, body: '<CopyObjectResult/>' }], call))).toEqual(waits)
  })
})

describe('Retry-After', () => {
  test.each([
    [{ 'retry-after': '2' }, 2_000],
    [{ 'retry-after': '60' }, 5_050],
    [{ 'x-amz-retry-after': '1500' }, 1_500],
    [{ 'x-amz-retry-after': '60000' }, 5_050],
    [{ 'x-amz-retry-after': 'soon' }, 50],
  ])('%j makes the wait longer, by five seconds at the most', async (headers, wait) => {
    expect(rounded(await run([{ status: 503, headers }, { status: 200 }]))).toEqual([wait])
  })
})

describe('the bucket of tokens', () => {
  const budgetOf = (): [S3Policy, TokenBudget] => {
    const policy = new S3Policy({}, () => 0)
    return [policy, policy.createBudget()]
  }

  test('has 500; a retry costs 14, or 5 if the service asked for fewer requests', async () => {
    const [policy, budget] = budgetOf()
    expect(capacity).toBe(500)
    await play(policy, [{ status: 500 }], {}, budget)
    expect(budget.tokens).toBe(500 - 2 * 14)
    await play(policy, [slowDown], {}, budget)
    expect(budget.tokens).toBe(500 - 2 * 14 - 2 * 5)
  })

  test('gets back what the last retry has cost if that led to an answer, and one for a call without', async () => {
    const [policy, budget] = budgetOf()
    await play(policy, [{ status: 500 }, slowDown, { status: 200 }], {}, budget)
    expect(budget.tokens).toBe(500 - 14)
    await play(policy, [{ status: 200 }], {}, budget)
    expect(budget.tokens).toBe(500 - 13)
    await play(policy, [{ status: 404 }], {}, budget)
    await play(policy, [{ status: 500 }, { status: 403 }], {}, budget)
    expect(budget.tokens).toBe(500 - 13 - 14)
  })

  test('refuses what it cannot pay: an outage sees 35 retries, then first attempts alone', async () => {
    const [policy, budget] = budgetOf()
    let attempts = 0
    for (let call = 0; call < 100; call++) {
      attempts += (await play(policy, [{ status: 500 }], {}, budget)).sent.length
    }
    expect(attempts).toBe(100 + Math.floor(500 / 14))
    expect((await play(policy, [{ status: 500 }], {}, budget)).because).toBe('budget')
    expect((await play(policy, [slowDown], {}, budget)).sent).toHaveLength(3)
  })

  test('pays for hedged requests, too', () => {
    const [, budget] = budgetOf()
    expect(budget.withdraw()).toBe(true)
    expect(budget.tokens).toBe(500 - 14)
  })

  test('is of one client: two clients of one policy have two', () => {
    const policy = new S3Policy({})
    expect(policy.createBudget()).not.toBe(policy.createBudget())
  })
})

test('attempts, waits and tokens stay within the figures, whatever comes', async () => {
  const end = fc.oneof(
    fc.record({
      status: fc.constantFrom(200, 204, 304, 400, 403, 404, 408, 429, 500, 503, 509),
      body: fc.constantFrom(
        '',
        s3Error('SlowDown'),
        s3Error('RequestTimeout'),
        s3Error('RequestTimeTooSkewed'),
        '<Co',
      ),
      headers: fc.constantFrom({}, { 'retry-after': '3' }, { 'x-amz-retry-after': '90000' }),
    }),
    fc.record({ code: fc.constantFrom('ECONNRESET', 'EPIPE', 'ERR_INVALID_ARG') }),
  )
  const calls = fc.array(fc.array(end, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(
      calls,
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.integer({ min: 1, max: 5 }),
      async (scripts, random, maxAttempts) => {
        const policy = new S3Policy({ maxAttempts }, () => random)
        const budget = policy.createBudget()
        for (const script of scripts) {
          const { sent, waits } = await play(policy, script, {}, budget)
          expect(sent.length).toBeLessThanOrEqual(maxAttempts)
          for (const [index, wait] of waits.entries()) {
            expect(wait).toBeGreaterThanOrEqual(0)
            expect(wait).toBeLessThanOrEqual(Math.min(20_000, 1_000 * 2 ** index) * random + 5_000)
          }
          expect(budget.tokens).toBeGreaterThanOrEqual(0)
          expect(budget.tokens).toBeLessThanOrEqual(500)
        }
      },
    ),
    { numRuns: 40 },
  )
})
