/** A download that breaks off: its reader gets all that has arrived before the error, so that who goes on asks for the rest alone. */
import type { Readable } from 'node:stream'
import { createHttpHeaders, createPipelineRequest } from '@azure/core-rest-pipeline'
import { expect, test } from 'vitest'
import { awsRequestHandler } from '../../src/adapters/aws.ts'
import { azureHttpClient } from '../../src/adapters/azure.ts'
import type { Client } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { createOrigin, type Origin } from '../support/origin.ts'
import { until } from '../support/until.ts'

type Download = (client: Client, port: number, abortSignal: AbortSignal) => Promise<Readable>
const adapters: Record<string, Download> = {
  async aws(client, port, abortSignal) {
    const to = { method: 'GET', protocol: 'http:', hostname: '127.0.0.1', port, path: '/', headers: {} }
    return (await awsRequestHandler(client).handle(to, { abortSignal })).response.body
  },
  async azure(client, port, abortSignal) {
    const request = createPipelineRequest({
      url: `http://127.0.0.1:${port}/`,
      allowInsecureConnection: true,
      headers: createHttpHeaders(),
      streamResponseStatusCodes: new Set([Infinity]),
      abortSignal,
    })
    return (await azureHttpClient(client).sendRequest(request)).readableStreamBody as Readable
  },
}

const sent = 200 * 1024

/** Breaks off once it may. */
const breaking = (mayBreak: Promise<void>): Promise<Origin> =>
  createOrigin(async (_, reply) => {
    await reply.write(`HTTP/1.1 200 OK\r\ncontent-length: ${2 * sent}\r\n\r\n`)
    await reply.write(Buffer.alloc(sent, 'x'))
    await mayBreak
    reply.end()
  })

interface Got {
  bytes: number
}

/** Come to the error. */
const readers: Record<string, (body: Readable, first: Promise<void>, got: Got) => Promise<unknown>> = {
  async 'a loop'(body, first, got) {
    try {
      for await (const part of body) {
        got.bytes += (part as Buffer).length
        await first
      }
    } catch (error) {
      return error
    }
    return undefined
  },
  'data events, paused after the first': (body, first, got) =>
    new Promise((resolve) => {
      body.on('data', (part: Buffer) => {
        if (got.bytes === 0) void first.then(() => body.resume())
        if (got.bytes === 0) body.pause()
        got.bytes += part.length
      })
      body.on('end', () => resolve(undefined)).on('error', resolve)
    }),
}

for (const [sdk, download] of Object.entries(adapters)) {
  for (const [how, read] of Object.entries(readers)) {
    test(`${sdk}: ${how}, behind: all that arrived is read before the error`, async () => {
      const { promise: mayBreak, resolve: breakOff } = Promise.withResolvers<void>()
      const { promise: failed, resolve: onFailed } = Promise.withResolvers<void>()
      await using origin = await breaking(mayBreak)
      await using client = testClient()
      const body = await download(client, origin.port, new AbortController().signal)
      const got = { bytes: 0 }
      const ended = read(body, failed, got)
      await until(() => got.bytes + body.readableLength === sent, 'received')
      expect(got.bytes).toBeLessThan(sent)
      breakOff()
      await until(() => client.stats().bodies.closed === 1, 'broken off')
      onFailed()
      expect(await ended).toMatchObject({ code: 'ECONNRESET' })
      expect(got.bytes).toBe(sent)
    })

    test(`${sdk}: ${how}, behind: an abort is heard of at once`, async () => {
      await using origin = await breaking(new Promise(() => {}))
      await using client = testClient()
      const controller = new AbortController()
      const body = await download(client, origin.port, controller.signal)
      const got = { bytes: 0 }
      const ended = read(body, new Promise(() => {}), got)
      await until(() => got.bytes + body.readableLength === sent, 'received')
      expect(got.bytes).toBeLessThan(sent)
      let isHeard = false
      body.on('close', () => (isHeard = true))
      controller.abort()
      await until(() => isHeard, 'heard of')
      if (how !== 'a loop') expect(await ended).toMatchObject({ name: 'AbortError' })
    })
  }
}
