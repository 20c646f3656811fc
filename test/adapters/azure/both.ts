/** The same call through the SDK's own client and through ours, each on an origin of its own. */
import {
  createDefaultHttpClient,
  createHttpHeaders,
  createPipelineRequest,
  type HttpClient,
  type PipelineRequestOptions,
  type PipelineResponse,
} from '@azure/core-rest-pipeline'
import { expect } from 'vitest'
import { azureHttpClient } from '../../../src/adapters/azure.ts'
import { testClient } from '../../support/client.ts'
import { createOrigin, type Origin, type Script } from '../../support/origin.ts'

type Options = Omit<Partial<PipelineRequestOptions>, 'headers'> & { headers?: Record<string, string> }
export type Send = (options?: Options) => Promise<PipelineResponse>
export type Run = (send: Send, origin: Origin, httpClient: HttpClient) => Promise<unknown>

/** Fails unless both outcomes are `expected`. */
export async function expectOfBoth(script: Script, run: Run, expected: unknown): Promise<void> {
  expect(await withTheirs(script, run), "the SDK's own client").toEqual(expected)
  expect(await withOurs(script, run), 'ours').toEqual(expected)
}

export async function withTheirs(script: Script, run: Run): Promise<unknown> {
  await using origin = await createOrigin(script)
  const client = createDefaultHttpClient()
  return await run(sender(client, origin.url), origin, client)
}

export async function withOurs(script: Script, run: Run): Promise<unknown> {
  await using origin = await createOrigin(script)
  await using client = testClient({ connections: 4 })
  const httpClient = azureHttpClient(client)
  return await run(sender(httpClient, origin.url), origin, httpClient)
}

export function sender(client: HttpClient, url: string): Send {
  return ({ headers, ...options } = {}) =>
    client.sendRequest(
      createPipelineRequest({
        url: `${url}/`,
        allowInsecureConnection: true,
        headers: createHttpHeaders(headers),
        ...options,
      }),
    )
}

/** A whole answer in one write. */
export const whole =
  (head: string, body: string | Buffer = ''): Script =>
  async (_, reply) => {
    const length = Buffer.byteLength(body)
    await reply.write(
      Buffer.concat([
        Buffer.from(`HTTP/1.1 ${head}\r\ncontent-length: ${length}\r\n\r\n`, 'latin1'),
        Buffer.from(body),
      ]),
    )
  }

export async function bytesOf(stream: NodeJS.ReadableStream | undefined): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
