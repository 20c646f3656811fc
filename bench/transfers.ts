/** Large bodies, either way, through the three clients that are compared. */
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { Agent, fetch as undiciFetch, request } from 'undici'
import { createClient, type FetchInit } from '../src/index.ts'
import { large } from './shapes.ts'

/** Given where to, one call after another. */
export type Make = (url: string) => (() => Promise<unknown>) | Promise<() => Promise<unknown>>

interface Init {
  method?: 'POST'
  body?: ReadableStream | Readable
  duplex?: 'half'
}
interface Received {
  readonly body: AsyncIterable<Uint8Array>
  arrayBuffer(): Promise<ArrayBuffer>
}

/** The same operation through the three that are compared in transfers. */
function transfer(use: (send: (init?: Init) => Promise<Received>) => Promise<unknown>): Record<string, Make> {
  const clientFetch: Make = (url) => {
    const client = createClient()
    return () => use(async (init) => (await client.fetch(url, init as FetchInit)) as unknown as Received)
  }
  return {
    'client.fetch': clientFetch,
    'client.fetch, once more': clientFetch,
    'undici.fetch': (url) => {
      const dispatcher = new Agent()
      return () =>
        use(async (init) => {
          const response = await undiciFetch(url, { ...(init as object), dispatcher })
          return response as unknown as Received
        })
    },
    'undici.request': (url) => {
      const dispatcher = new Agent()
      return () =>
        use(async ({ duplex: _, ...init } = {}) => {
          const { body } = await request(url, { ...(init as { body?: Readable }), dispatcher })
          return { body, arrayBuffer: () => body.arrayBuffer() }
        })
    },
  }
}

async function iterated({ body }: Received): Promise<number> {
  let bytes = 0
  for await (const chunk of body) bytes += chunk.length
  return bytes
}

const filled = Buffer.alloc(64 * 1024, 'x')

function webStream(): ReadableStream {
  let left = large
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(filled)
      if ((left -= filled.length) === 0) controller.close()
    },
  })
}

function nodeStream(): Readable {
  let left = large
  return new Readable({
    read() {
      this.push(filled)
      if ((left -= filled.length) === 0) this.push(null)
    },
  })
}

async function uploaded(sent: Promise<Received>): Promise<number> {
  return (await (await sent).arrayBuffer()).byteLength
}

export const transfers: Record<string, Record<string, Make>> = {
  body: transfer(async (send) => iterated(await send())),
  arrayBuffer: transfer(async (send) => (await (await send()).arrayBuffer()).byteLength),
  webUpload: transfer((send) => uploaded(send({ method: 'POST', body: webStream(), duplex: 'half' }))),
  nodeUpload: transfer((send) => uploaded(send({ method: 'POST', body: nodeStream(), duplex: 'half' }))),
}
