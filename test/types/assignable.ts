/** Checked by the compiler only, with Node's types and with those of browsers: our fetch goes wherever somebody asks for one. */
import type { HttpClient } from '@azure/core-rest-pipeline'
import { TableClient } from '@azure/data-tables'
import { BlobServiceClient, type IHttpClient, newPipeline, AnonymousCredential } from '@azure/storage-blob'
import { QueueServiceClient, type IHttpClient as IQueueHttpClient } from '@azure/storage-queue'
import { Octokit } from '@octokit/core'
import axios, { type AxiosRequestConfig } from 'axios'
import { Gaxios } from 'gaxios'
import ky from 'ky'
import { createFetch } from 'ofetch'
import OpenAI from 'openai'
import createApi from 'openapi-fetch'
import wretch from 'wretch'
import { azureHttpClient } from '../../src/adapters/azure.ts'
import { type Client, createClient, fetch } from '../../src/index.ts'

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

/** What it adds. */
export async function additions(): Promise<void> {
  await using response = await client.fetch('/x', { timeout: { headers: 5 }, dispatcher: client.dispatcher })
  const value: unknown = await response.json()
  void value
  await client.fetch('/x', { timeout: 500, duplex: 'half', body: new ReadableStream() })
  // @ts-expect-error an unknown option
  createClient({ conections: 3 })
  // @ts-expect-error a size is a number
  createClient({ maxResponseSize: '1 MiB' })
  // @ts-expect-error a time limit is a number
  void client.fetch('/x', { timeout: { headers: 'soon' } })
  // @ts-expect-error an unknown limit
  void client.fetch('/x', { timeout: { haeders: 5 } })
}
