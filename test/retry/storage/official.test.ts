/** The policies beside the official clients: the same outcomes, the same decisions, waits, hosts and tokens. */
import { setImmediate } from 'node:timers'
import { Readable } from 'node:stream'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { StorageRetryPolicy } from '@azure/storage-blob'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { AzureStoragePolicy } from '../../../src/retry/storage/azure.ts'
import { S3Policy } from '../../../src/retry/storage/s3.ts'
import { type Call, type End, play, s3Error, type Sent } from './support.ts'

const random = 0.75

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: Date.UTC(2026, 0, 1) })
  vi.spyOn(Math, 'random').mockReturnValue(random)
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** Lets the clock jump from timer to timer until it is done, well or not. */
async function settled(work: Promise<unknown>): Promise<void> {
  const state = { isOver: false }
  const end = (): void => void (state.isOver = true)
  void work.then(end, end)
  while (!state.isOver) {
    await new Promise((resolve) => setImmediate(resolve))
    if (!state.isOver) await vi.advanceTimersToNextTimerAsync()
  }
}

const endOf = (ends: readonly End[], attempt: number): End => ends[Math.min(attempt, ends.length - 1)] as End
const failure = (code: string): Error => Object.assign(new Error('broken'), { code })

const codes = fc.record({
  code: fc.constantFrom('ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'ERR_TLS'),
})

test('azureStorage() and the StorageRetryPolicy of Azure send the same requests at the same times', async () => {
  const copied = (code: string): Record<string, string> => ({ 'x-ms-copy-source-error-code': code })
  const answers = fc.record({
    status: fc.constantFrom(200, 201, 304, 400, 404, 408, 409, 412, 429, 500, 501, 502, 503, 504),
    headers: fc.constantFrom(
      {},
      copied('ServerBusy'),
      copied('InternalError'),
      copied('OperationTimedOut'),
      copied('NoSuchBlob'),
    ),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(answers, codes), { minLength: 1, maxLength: 7 }),
      fc.constantFrom('GET', 'HEAD', 'OPTIONS', 'PUT', 'POST', 'DELETE'),
      fc.constantFrom(undefined, 'account-secondary.example'),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1_000, max: 40_000 }),
      async (ends, method, secondary, maxAttempts, initial) => {
        const theirs = await azureSends(ends, method, maxAttempts, initial, secondary)
        const policy = new AzureStoragePolicy(
          { maxAttempts, backoff: { initial }, ...(secondary === undefined ? {} : { secondary }) },
          () => random,
        )
        expect((await play(policy, ends, { method })).sent).toEqual(theirs)
      },
    ),
    { numRuns: 300 },
  )
})

async function azureSends(
  ends: readonly End[],
  method: string,
  maxTries: number,
  retryDelayInMs: number,
  secondaryHost?: string,
): Promise<Sent[]> {
  const sent: Sent[] = []
  const start = Date.now()
  const transport = {
    sendRequest(request: { url: string }) {
      const end = endOf(ends, sent.length)
      sent.push({ at: Date.now() - start, url: request.url })
      if ('code' in end) return Promise.reject(failure(end.code))
      const { status, headers = {} } = end as { status: number; headers?: Record<string, string> }
      return Promise.resolve({ status, headers: { get: (name: string) => headers[name] }, request })
    },
  }
  const request = {
    url: 'https://account.example/box/item?a=b',
    method,
    clone: () => ({ ...request }),
  }
  type Args = ConstructorParameters<typeof StorageRetryPolicy>
  const policy = new StorageRetryPolicy(transport as unknown as Args[0], {} as Args[1], {
    maxTries,
    retryDelayInMs,
    ...(secondaryHost === undefined ? {} : { secondaryHost }),
  })
  await settled(policy.sendRequest(request as unknown as Parameters<typeof policy.sendRequest>[0]))
  return sent
}

const where = { Bucket: 'box', Key: 'item' }
const operations: Record<string, [command: () => object, call: Call, whole: string]> = {
  get: [() => new GetObjectCommand(where), { method: 'GET' }, 'content'],
  head: [() => new HeadObjectCommand(where), { method: 'HEAD' }, ''],
  put: [() => new PutObjectCommand({ ...where, Body: 'content' }), { method: 'PUT' }, ''],
  copy: [
    () => new CopyObjectCommand({ ...where, CopySource: '/box/other' }),
    { method: 'PUT', headers: { 'x-amz-copy-source': '/box/other' } },
    '<CopyObjectResult><ETag>"7"</ETag></CopyObjectResult>',
  ],
  complete: [
    () => new CompleteMultipartUploadCommand({ ...where, UploadId: 'u' }),
    { method: 'POST', url: 'https://box.example/item?uploadId=u' },
    '<CompleteMultipartUploadResult><ETag>"7"</ETag></CompleteMultipartUploadResult>',
  ],
}

test('s3() and the client of AWS send the same requests at the same times, with the same tokens left', async () => {
  const errors = fc.record({
    status: fc.constantFrom(400, 403, 404, 409, 412, 429, 500, 501, 502, 503, 504),
    headers: fc.constantFrom(
      {},
      { 'retry-after': '1' },
      { 'retry-after': '90' },
      { 'x-amz-retry-after': '1500' },
    ),
    body: fc
      .constantFrom(
        'SlowDown',
        'RequestTimeout',
        'RequestTimeTooSkewed',
        'InternalError',
        'InvalidArgument',
        'ThrottlingException',
      )
      .map(s3Error),
  })
  const hidden = fc.record({
    status: fc.constant(200),
    body: fc.constantFrom('', s3Error('InternalError'), s3Error('SlowDown'), s3Error('AccessDenied')),
  })
  const call = fc.record({
    name: fc.constantFrom('get', 'head', 'put', 'copy', 'complete'),
    ends: fc.array(fc.oneof({ weight: 5, arbitrary: errors }, codes, hidden), { maxLength: 4 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 25 }), async (calls) => {
      const policy = new S3Policy({}, () => random)
      const budget = policy.createBudget()
      const aws = awsClient()
      for (const { name, ends } of calls) {
        const [command, own, whole] = operations[name] as (typeof operations)[string]
        const script = [...ends, { status: 200, body: whole }].filter(fits(name)) as End[]
        const theirs = await aws.waits(command(), script, own.method === 'HEAD')
        const ours = await play(policy, script, own, budget)
        // Theirs are whole milliseconds.
        expect(ours.waits.map(Math.floor)).toEqual(theirs)
        expect(budget.tokens).toBe(await aws.tokens())
      }
      aws.client.destroy()
    }),
    { numRuns: 60 },
  )
}, 60_000)

/** Throttling codes come with 400, 429 or 5xx; whoever reads no other bodies cannot know. And a 200 hides errors of long work only. */
function fits(name: string): (end: End) => boolean {
  return (end) => {
    if (!('status' in end)) return true
    const code = /<Code>(\w+)/.exec(end.body ?? '')?.[1] ?? ''
    if (end.status === 200) return code === '' || name === 'copy' || name === 'complete'
    return end.status === 400 || end.status >= 429 || !/SlowDown|RequestTimeout$|Throttling/.test(code)
  }
}

function awsClient(): {
  readonly client: S3Client
  waits(command: object, ends: readonly End[], isHead: boolean): Promise<number[]>
  tokens(): Promise<number>
} {
  let ends: readonly End[] = []
  let isHead = false
  let times: number[] = []
  const client = new S3Client({
    region: 'us-east-1',
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
    endpoint: 'https://s3.example',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 3,
    retryMode: 'standard',
    requestHandler: {
      handle() {
        const end = endOf(ends, times.length)
        times.push(Date.now())
        if ('code' in end) return Promise.reject(failure(end.code))
        const { status, headers = {}, body = '' } = end as { status: number; headers?: object; body?: string }
        const response = {
          statusCode: status,
          headers,
          body: Readable.from(isHead ? [] : [Buffer.from(body)]),
        }
        return Promise.resolve({ response: response as never })
      },
    },
  })
  return {
    client,
    async waits(command, script, head) {
      ;[ends, isHead, times] = [script, head, []]
      await settled(client.send(command as HeadObjectCommand))
      return times.slice(1).map((time, index) => time - (times[index] as number))
    },
    async tokens() {
      const strategy = (await client.config.retryStrategy()) as unknown as { getCapacity(): number }
      return strategy.getCapacity()
    },
  }
}
