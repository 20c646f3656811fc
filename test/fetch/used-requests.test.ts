/** A Request whose body somebody has begun to read is refused, whether or not its stream is still locked: nothing of it is sent. */
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { fetch as undiciFetch, Request as UndiciRequest } from 'undici'
import { testClient } from '../support/client.ts'
import { createRecorder } from '../support/recorder.ts'

type Stream = ReadableStream<Uint8Array>

const uses: [string, (stream: Stream) => Promise<unknown>][] = [
  [
    'read to its end by for await',
    async (stream) => {
      for await (const _ of stream);
    },
  ],
  [
    'left by break',
    async (stream) => {
      for await (const _ of stream) break
    },
  ],
  ['cancelled', (stream) => stream.cancel()],
  [
    'piped elsewhere',
    (stream) => stream.pipeTo(Writable.toWeb(new Writable({ write: (_, __, done) => done() }))),
  ],
  [
    'read in part by a reader that has let go',
    async (stream) => {
      const reader = stream.getReader()
      await reader.read()
      reader.releaseLock()
    },
  ],
  ['locked by a reader', async (stream) => void stream.getReader()],
]

const classes = { Node: Request, undici: UndiciRequest as unknown as typeof Request }
const calls = {
  'short lane': {},
  'long lane': { window: null },
  'short lane, with retries': { retry: true },
  'long lane, with retries': { window: null, retry: true },
} as const

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'it succeeded',
    ({ name, message, cause }: Error) => ({ name, message, cause }),
  )

for (const [make, OneRequest] of Object.entries(classes)) {
  for (const [lane, init] of Object.entries(calls)) {
    test.each(uses)(`a Request of ${make} whose body was %s is refused [${lane}]`, async (_, use) => {
      await using recorder = await createRecorder()
      await using client = testClient()
      const used = async (): Promise<Request> => {
        const stream = new ReadableStream<Uint8Array>({
          start(controller) {
            for (const part of ['one', 'two']) controller.enqueue(Buffer.from(part))
            controller.close()
          },
        })
        const request = new OneRequest(recorder.url, { method: 'PUT', body: stream, duplex: 'half' })
        await use(request.body as Stream)
        return request
      }
      const theirs =
        make === 'Node'
          ? failure(globalThis.fetch(await used()))
          : failure(undiciFetch((await used()) as never))
      expect(await failure(client.fetch(await used(), init as never))).toEqual(await theirs)
      expect(await theirs).toMatchObject({ name: 'TypeError' })
      expect(recorder.seen).toEqual([])
    })

    test(`a Request of ${make} whose stream fails at once fails as fetch does [${lane}]`, async () => {
      await using recorder = await createRecorder()
      await using client = testClient()
      const mine = new Error('mine')
      const stream = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(mine) })
      const request = new OneRequest(recorder.url, { method: 'PUT', body: stream, duplex: 'half' })
      const error = await client.fetch(request, init as never).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(TypeError)
      expect(error).toMatchObject({ message: 'fetch failed', cause: mine })
    })
  }
}
