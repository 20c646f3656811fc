/** Checked by the compiler only, with Node's types and with those of browsers: our fetch goes wherever somebody asks for one. */
import type { HttpClient } from '@azure/core-rest-pipeline'
import { TableClient } from '@azure/data-tables'
import { BlobServiceClient, type IHttpClient, newPipeline, AnonymousCredential } from '@azure/storage-blob'
import { QueueServiceClient, type IHttpClient as IQueueHttpClient } from '@azure/storage-queue'
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { Octokit } from '@octokit/core'
import { FetchHttpHandler } from '@smithy/fetch-http-handler'
import type { HttpRequest, HttpResponse, RequestHandler } from '@smithy/types'
import axios, { type AxiosRequestConfig } from 'axios'
import { Gaxios } from 'gaxios'
import ky from 'ky'
import { createFetch } from 'ofetch'
import OpenAI from 'openai'
import createApi from 'openapi-fetch'
import wretch from 'wretch'
import { azureHttpClient } from '../../src/adapters/azure.ts'
import { awsRequestHandler } from '../../src/adapters/aws.ts'
import {
  BodyNotReplayableError,
  type Client,
  createClient,
  fetch,
  type GaveUp,
  type RetriedError,
  RetriedResponseError,
  type Retry,
  type RetryPolicy,
  type RetryStats,
} from '../../src/index.ts'

declare const client: Client

for (const each of [fetch, client.fetch]) {
  const dropIn: typeof globalThis.fetch = each
  void dropIn('https://example.com', { method: 'POST', body: 'x', signal: AbortSignal.timeout(1) })
  ky.create({ fetch: each })
  createFetch({ fetch: each, Headers, AbortController })
  wretch('https://example.com').fetchPolyfill(each)
  createApi<object>({ fetch: each })
  void new OpenAI({ apiKey: 'x', fetch: each })
  void new Octokit({ request: { fetch: each } })
  void new Gaxios({ fetchImplementation: each })
  void new S3Client({ requestHandler: new FetchHttpHandler({ customFetch: each }) })
  axios.create({ adapter: 'fetch', env: { fetch: each } } satisfies AxiosRequestConfig)
}

/** One HTTP client for both generations of Azure SDKs. */
export function azure(): void {
  const httpClient = azureHttpClient(client)
  const pipeline: HttpClient = httpClient
  const blob: IHttpClient = httpClient
  const queue: IQueueHttpClient = httpClient
  void [pipeline, blob, queue]
  void new BlobServiceClient('https://a', new AnonymousCredential(), { httpClient })
  void new BlobServiceClient('https://a', newPipeline(new AnonymousCredential(), { httpClient }))
  void new QueueServiceClient('https://a', undefined, { httpClient })
  void new TableClient('https://a', 'name', { httpClient })
  // @ts-expect-error a fetch is no client
  azureHttpClient(fetch)
  // @ts-expect-error a request has headers
  void httpClient.sendRequest({ url: '', method: 'GET', timeout: 0 })
}
const handler = awsRequestHandler(client, { requestTimeout: 5 })
void new S3Client({ requestHandler: handler })
export const config: NonNullable<S3ClientConfig['requestHandler']> = handler
/** Not only because the SDK takes any object. */
export const exact: RequestHandler<
  HttpRequest,
  HttpResponse,
  { abortSignal?: AbortSignal; requestTimeout?: number }
> = handler
// @ts-expect-error an unknown option
awsRequestHandler(client, { requestTimout: 5 })

/** What it adds. */
export async function additions(): Promise<void> {
  await using response = await client.fetch('/x', { timeout: { headers: 5 }, dispatcher: client.dispatcher })
  const value: unknown = await response.json()
  void value
  await client.fetch('/x', { timeout: 500, duplex: 'half', body: new ReadableStream() })
  await client.fetch('/x', { decompress: false })
  createClient({ decompress: false })
  // @ts-expect-error an unknown option
  createClient({ conections: 3 })
  // @ts-expect-error a size is a number
  createClient({ maxResponseSize: '1 MiB' })
  // @ts-expect-error a time limit is a number
  void client.fetch('/x', { timeout: { headers: 'soon' } })
  // @ts-expect-error an unknown limit
  void client.fetch('/x', { timeout: { haeders: 5 } })
}

/** Of retries and hedged requests. */
export async function retries(policy: RetryPolicy): Promise<void> {
  createClient({ retry: true, hedge: { after: 100 }, timeout: { attempt: 5, total: 50 } })
  createClient({
    retry: { methods: ['GET', 'POST'], backoff: { jitter: 'none' }, budget: false },
    hedge: false,
  })
  for (const retry of [true, false, 3, { maxAttempts: 2 }, policy] satisfies Retry[]) createClient({ retry })
  for (const each of [fetch, client.fetch]) {
    void each('/x', { retry: 3, hedge: { after: 5 }, timeout: { attempt: 5 } })
    void each('/x', { retry: policy, hedge: false })
    void each('/x', {
      retry: { onRetry: ({ wait, attempt, headers }) => void [wait, attempt, headers.get('x')] },
    })
    void each('/x', {
      retry: { shouldRetry: async ({ response }, usual) => usual && response?.status !== 500 },
    })
    // A body made for each attempt: at once or later, of whatever fetch takes.
    void each('/x', { method: 'PUT', body: () => 'text' })
    void each('/x', { method: 'PUT', body: () => new ReadableStream() })
    void each('/x', { method: 'PUT', body: async () => new Blob(['x']) })
    void each('/x', { method: 'PUT', body: () => new FormData() })
    // @ts-expect-error a function that makes nothing
    void each('/x', { method: 'PUT', body: () => undefined })
    // @ts-expect-error a function that makes what is no body
    void each('/x', { method: 'PUT', body: () => 3 })
    // @ts-expect-error an unknown option
    void each('/x', { retry: { retries: 3 } })
    // @ts-expect-error a method of hedging has to say after what time
    void each('/x', { hedge: {} })
    // @ts-expect-error attempts are a number
    void each('/x', { retry: '3' })
  }
  // @ts-expect-error unknown jitter
  createClient({ retry: { backoff: { jitter: 'half' } } })
  // @ts-expect-error a policy says how many attempts
  createClient({ retry: { next: () => ({ retry: false }) } })
  // @ts-expect-error hedging is no switch
  createClient({ hedge: true })
  const { made, hedged, gaveUp }: RetryStats = client.stats().retries
  const why: GaveUp = 'retry-after'
  const sum: number = made + hedged + gaveUp[why]
  void sum
  try {
    await client.fetch('/x')
  } catch (error) {
    const { errors, attempts, elapsed } = error as RetriedError
    for (const each of errors) if (each instanceof RetriedResponseError) void each.status.toFixed()
    void (attempts + elapsed)
    if (error instanceof BodyNotReplayableError) void (error.code satisfies 'ERR_DRAINED_BODY_NOT_REPLAYABLE')
  }
}
