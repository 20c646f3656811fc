/** Requests of an SDK that end while they wait for a connection: gone at once, with what they were to send, and nobody pays for them. */
import { Readable } from 'node:stream'
import { createHttpHeaders, createPipelineRequest } from '@azure/core-rest-pipeline'
import { expect, test } from 'vitest'
import { awsRequestHandler } from '../../src/adapters/aws.ts'
import { azureHttpClient } from '../../src/adapters/azure.ts'
import type { Client } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin, type Script } from '../support/origin.ts'
import { until } from '../support/until.ts'

const stall = 500
const length = 3 * 1024 * 1024
const large: Script = async (_, reply) => {
  await reply.write(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`)
  await reply.write(Buffer.alloc(length))
}

interface Options {
  readonly method?: 'PUT'
  readonly body?: Readable
  readonly timeout?: number
  readonly abortSignal?: AbortSignal
}
type Send = (options?: Options) => Promise<Readable>

const adapters: Record<string, (client: Client, port: number) => Send> = {
  aws(client, port) {
    const handler = awsRequestHandler(client)
    return async ({ method = 'GET', body, timeout = 0, abortSignal } = {}) => {
      const to = { method, protocol: 'http:', hostname: '127.0.0.1', port, path: '/', headers: {}, body }
      const options = { requestTimeout: timeout, ...(abortSignal && { abortSignal }) }
      return (await handler.handle(to, options)).response.body
    }
  },
  azure(client, port) {
    const httpClient = azureHttpClient(client)
    return async ({ method, body, timeout = 0, abortSignal } = {}) => {
      const request = createPipelineRequest({
        url: `http://127.0.0.1:${port}/`,
        allowInsecureConnection: true,
        headers: createHttpHeaders(),
        streamResponseStatusCodes: new Set([Infinity]),
        ...(method && { method }),
        timeout,
        ...(body && { body: () => body }),
        ...(abortSignal && { abortSignal }),
      })
      return (await httpClient.sendRequest(request)).readableStreamBody as Readable
    }
  },
}

for (const [name, adapter] of Object.entries(adapters)) {
  test(`${name}: a request that times out in the queue is gone from it, and takes no body from its reader`, async () => {
    await using origin = await createOrigin(large)
    await using client = testClient({ connections: 1, drain: { readAhead: 0, stall } })
    const send = adapter(client, origin.port)
    const first = await send()
    for (let i = 0; i < 3; i++) await expect(send({ timeout: 20 })).rejects.toThrow(/No response|aborted/)
    expect(client.stats().requests.waiting).toBe(0)
    // Where somebody waits, later than they did, a body is taken: by now it would have been here, too.
    await using busy = await createOrigin(large)
    await using other = testClient({ connections: 1, drain: { readAhead: 0, stall }, leaks: 'off' })
    const sendOther = adapter(other, busy.port)
    const taken = [await sendOther(), await sendOther()] as const
    expect(other.stats().bodies.closed).toBe(1)
    for (const stream of taken) stream.on('error', () => {}).destroy()
    let received = 0
    for await (const chunk of first) received += (chunk as Buffer).length
    expect(received).toBe(length)
    expect(origin.seen).toHaveLength(1)
  })

  test(`${name}: a request that is aborted in the queue is gone from it, and the stream it was to send is closed`, async () => {
    await using origin = await createOrigin(large)
    await using client = testClient({ connections: 1 })
    const send = adapter(client, origin.port)
    const first = await send()
    const body = new Readable({ read() {} })
    const controller = new AbortController()
    const waiting = send({ method: 'PUT', body, abortSignal: controller.signal })
    await until(() => client.stats().requests.waiting === 1, 'it waits')
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    expect(client.stats().requests.waiting).toBe(0)
    expect(body.destroyed).toBe(true)
    first.destroy()
  })
}
