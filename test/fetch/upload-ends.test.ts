/** A body that is being sent, or waits to be, when its call ends: whoever makes it is told. */
import net, { type AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import * as undici from 'undici'
import { testClient } from '../support/client.ts'
import { until } from '../support/until.ts'

/** Calls `onPart` when the first part of a body has come. */
async function listen(onPart: (socket: net.Socket) => void): Promise<{ url: string } & AsyncDisposable> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    let text = ''
    sockets.add(socket)
    socket
      .on('error', () => {})
      .on('data', (bytes) => {
        if (text.includes('first')) return
        text += String(bytes)
        if (text.includes('first')) onPart(socket)
      })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Gives one chunk, and the next ones only when it is asked to go on. */
function slow(): { stream: ReadableStream<Uint8Array>; told: unknown[]; goOn: () => void } {
  const told: unknown[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Buffer.from('first')),
    async pull(controller) {
      await promise
      await new Promise((go) => setTimeout(go, 5))
      controller.enqueue(Buffer.from('more'))
    },
    cancel: (reason) => void told.push(reason),
  })
  return { stream, told, goOn: resolve }
}

interface Caller extends AsyncDisposable {
  readonly fetch: (input: string | Request, init?: object) => Promise<unknown>
  readonly Request: typeof Request
}

const callers: Record<string, () => Caller> = {
  undici: () => {
    const dispatcher = new undici.Agent()
    const fetch = (input: never, init?: object) => undici.fetch(input, { ...init, dispatcher })
    return {
      fetch: fetch as never,
      Request: undici.Request as never,
      [Symbol.asyncDispose]: () => dispatcher.destroy(),
    }
  },
  'client, short lane': () => ({ ...testClient(), Request }),
  'client, long lane': () => {
    const client = testClient()
    return { ...client, Request, fetch: (input, init) => client.fetch(input, { ...init, cache: 'no-cache' }) }
  },
  'client with retry': () => ({ ...testClient({ retry: 2 }), Request }),
}

for (const [name, create] of Object.entries(callers)) {
  for (const kind of ['Request', 'init'] as const) {
    const send = (
      caller: Caller,
      url: string,
      body: ReadableStream,
      signal?: AbortSignal,
    ): Promise<unknown> => {
      const init = { method: 'POST', duplex: 'half', body, ...(signal && { signal }) }
      const sent =
        kind === 'init' ? caller.fetch(url, init) : caller.fetch(new caller.Request(url, init as RequestInit))
      return sent.catch((error: Error) => error.name)
    }

    test(`${name}, body of ${kind}: an abort before it is sent cancels it`, async () => {
      const controller = new AbortController()
      await using server = await listen(() => {})
      await using caller = create()
      const { stream, told } = slow()
      const sent = send(caller, server.url, stream, controller.signal)
      controller.abort()
      expect(await sent).toBe('AbortError')
      await until(() => told.length === 1, 'told')
    })

    // undici's reads a body to its end although nobody is sent the rest.
    if (name === 'undici' || name === 'client, long lane') continue

    test(`${name}, body of ${kind}: a server that resets in the middle cancels it`, async () => {
      await using server = await listen((socket) => void socket.resetAndDestroy())
      await using caller = create()
      const { stream, told, goOn } = slow()
      expect(await send(caller, server.url, stream)).toBe('TypeError')
      goOn()
      await until(() => told.length === 1, 'told')
    })

    test(`${name}, body of ${kind}: an abort in the middle cancels it`, async () => {
      const controller = new AbortController()
      await using server = await listen(() => controller.abort())
      await using caller = create()
      const { stream, told, goOn } = slow()
      expect(await send(caller, server.url, stream, controller.signal)).toBe('AbortError')
      goOn()
      await until(() => told.length === 1, 'told')
    })
  }
}
