/** The clients people have on node:http, on one agent of 8 sockets: unread, read late, destroyed; nothing hangs, nothing is lost. */
import { S3Client, GetObjectCommand } from '@aws-sdk/client-s3'
import {
  AnonymousCredential,
  BlobClient,
  newPipeline,
  type RequestPolicy,
  type RequestPolicyFactory,
} from '@azure/storage-blob'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import axios from 'axios'
import { Gaxios } from 'gaxios'
import got from 'got'
import nodeFetch from 'node-fetch'
import { type Agent, get as httpGet, type IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DrainedAgent } from '../../../src/adapters/node-http.ts'
import type { Origin } from '../../support/origin.ts'
import { until, untilCollected } from '../../support/until.ts'
import { works } from './support/agents.ts'
import { createLeakyOrigin, paths } from './support/leaky.ts'
import { forgetsBodies } from '../../support/forgotten.ts'

forgetsBodies()

interface Opened {
  read(): Promise<Buffer>
  destroy(): void
}
type Open = (url: string) => Promise<Opened>

const ofStream = (stream: Readable): Opened => ({
  read: () => buffer(stream),
  destroy: () => void stream.on('error', () => {}).destroy(),
})

interface Client {
  readonly make: (agent: Agent) => Open
  /** It makes an error of these, and reads their bodies itself. */
  readonly refuses?: readonly string[]
}

const clients: Record<string, Client> = {
  'node:http': {
    make: (agent) => async (url) =>
      ofStream(
        await new Promise<IncomingMessage>((resolve, reject) =>
          httpGet(url, { agent }, resolve).on('error', reject),
        ),
      ),
    refuses: ['302'],
  },
  axios: {
    make: (agent) => async (url) => {
      const options = {
        httpAgent: agent,
        responseType: 'stream',
        adapter: 'http',
        validateStatus: null,
      } as const
      return ofStream((await axios.get<Readable>(url, options)).data)
    },
  },
  got: {
    make: (agent) => (url) =>
      new Promise((resolve, reject) => {
        const stream = got.stream(url, {
          agent: { http: agent },
          retry: { limit: 0 },
          throwHttpErrors: false,
        })
        stream.on('response', () => resolve(ofStream(stream))).on('error', reject)
      }),
  },
  'node-fetch': {
    make: (agent) => async (url) => {
      const response = await nodeFetch(url, { agent })
      return ofStream(response.body as unknown as Readable)
    },
  },
  gaxios: {
    make: (agent) => {
      const gaxios = new Gaxios()
      return async (url) => {
        const options = {
          url,
          agent,
          responseType: 'stream',
          validateStatus: () => true,
          retry: false,
        } as const
        return ofStream((await gaxios.request<Readable>(options)).data)
      }
    },
  },
  'NodeHttpHandler of the AWS SDK': {
    make: (httpAgent) => {
      const clients = new Map<string, S3Client>()
      return async (url) => {
        const { origin, pathname } = new URL(url)
        let client = clients.get(origin)
        if (client === undefined) {
          client = new S3Client({
            endpoint: origin,
            forcePathStyle: true,
            region: 'here',
            credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
            maxAttempts: 1,
            requestHandler: new NodeHttpHandler({ httpAgent }),
          })
          clients.set(origin, client)
        }
        const { Body } = await client.send(new GetObjectCommand({ Bucket: 'bucket', Key: pathname.slice(1) }))
        return ofStream(Body as Readable)
      }
    },
    refuses: ['302', '404'],
  },
  'Azure’s own HTTP client': {
    make: (agent) => {
      const pipeline = newPipeline(new AnonymousCredential(), { retryOptions: { maxTries: 1 } })
      pipeline.factories.push({
        create: (next: RequestPolicy) => ({
          sendRequest: (request: { agent?: Agent }) => {
            request.agent = agent
            return next.sendRequest(request as unknown as Parameters<RequestPolicy['sendRequest']>[0])
          },
        }),
      } as unknown as RequestPolicyFactory)
      return async (url) => {
        const { origin, pathname } = new URL(url)
        const blob = new BlobClient(`${origin}/account/container${pathname}`, pipeline)
        return ofStream((await blob.download()).readableStreamBody as Readable)
      }
    },
    // Without a length it throws, and leaves the body unread.
    refuses: ['empty', 'late-end', '302', '404'],
  },
}

let origin: Origin
beforeAll(async () => {
  origin = await createLeakyOrigin()
})
afterAll(() => origin.close())

const calls = 20
const treatments: Record<string, (opened: Opened, body: Buffer) => unknown> = {
  unread: () => {},
  destroyed: (opened) => opened.destroy(),
}

for (const [name, { make, refuses = [] }] of Object.entries(clients)) {
  for (const [how, treat] of Object.entries(treatments)) {
    test(`${name}, ${how}: more calls than sockets, and none hangs`, async () => {
      for (const [path, body] of Object.entries(paths)) {
        const agent = new DrainedAgent({ maxSockets: 8, drain: { stall: 60_000 } })
        const open = make(agent)
        const before = origin.accepted
        const kept: Opened[] = []
        for (let i = 0; i < calls; i++) {
          try {
            const opened = await open(`${origin.url}/${path}`)
            kept.push(opened)
            treat(opened, body)
          } catch (error) {
            expect(refuses, `${path}: ${String(error)}`).toContain(path)
          }
        }
        await works(agent, origin.url)
        expect(origin.accepted - before, path).toBeLessThanOrEqual(8)
        // Late, they are all still there.
        if (how === 'unread' && !(name === 'node:http' && path === '302'))
          for (const opened of kept) expect(Buffer.compare(await opened.read(), body), path).toBe(0)
        await until(() => agent.stats().sockets.draining === 0, `${path}: drained`)
        agent.destroy()
        await until(() => agent.stats().sockets.open === 0, `${path}: closed`)
      }
    }, 60_000)
  }

  test(`${name}: what is dropped unread is collected, and its memory given back`, async () => {
    const agent = new DrainedAgent({ maxSockets: 4, drain: { stall: 60_000 } })
    const open = make(agent)
    for (let i = 0; i < calls; i++) await open(`${origin.url}/1048576`)
    await until(() => agent.stats().requests.inFlight === 0, 'received')
    // What served last may be remembered by its socket.
    await untilCollected(() => agent.stats().bodies.holding <= 4, 'collected')
    agent.destroy()
    await until(() => agent.stats().sockets.open === 0, 'closed')
  })
}
