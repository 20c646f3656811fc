/** What an SDK gave to be sent and was not is ended: a stream of either kind, and whatever is open behind an iterable. */
import { Readable } from 'node:stream'
import { createHttpHeaders, createPipelineRequest } from '@azure/core-rest-pipeline'
import { expect, test } from 'vitest'
import { awsRequestHandler } from '../../src/adapters/aws.ts'
import { azureHttpClient } from '../../src/adapters/azure.ts'
import type { Client } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'

type Send = (client: Client, port: number, body: unknown) => Promise<unknown>
const adapters: Record<string, Send> = {
  aws: (client, port, body) =>
    awsRequestHandler(client).handle({
      method: 'PUT',
      protocol: 'http:',
      hostname: '127.0.0.1',
      port,
      path: '/',
      headers: {},
      body,
    }),
  azure: (client, port, body) =>
    azureHttpClient(client).sendRequest(
      createPipelineRequest({
        url: `http://127.0.0.1:${port}/`,
        allowInsecureConnection: true,
        headers: createHttpHeaders(),
        method: 'PUT',
        body: body as never,
      }),
    ),
}

/** Each with what tells that it is over. */
const bodies: Record<string, () => [body: object, isOver: () => boolean]> = {
  'a stream of Node': () => {
    const body = new Readable({ read() {} })
    return [body, () => body.destroyed]
  },
  'a web stream': () => {
    let isOver = false
    return [new ReadableStream({ cancel: () => void (isOver = true) }), () => isOver]
  },
  'an async iterable': () => {
    let isOver = false
    const iterator = {
      next: () => new Promise<never>(() => {}),
      return: async () => ((isOver = true), { done: true, value: undefined }),
      [Symbol.asyncIterator]: () => iterator,
    }
    return [iterator, () => isOver]
  },
}

for (const [sdk, send] of Object.entries(adapters)) {
  for (const [what, make] of Object.entries(bodies)) {
    // The Azure SDK takes none.
    if (sdk === 'azure' && what === 'an async iterable') continue
    test(`${sdk}: ${what} ends with a request that gets no connection`, async () => {
      const origin = await createOrigin(() => {})
      await origin.close()
      await using client = testClient()
      const [body, isOver] = make()
      await expect(send(client, origin.port, body)).rejects.toThrow(/ECONNREFUSED/)
      await until(isOver, 'it is over')
    })
  }
}
