/** An origin whose paths say how long the body is, and the leaks that are found meanwhile. */
import diagnostics from 'node:diagnostics_channel'
import type { Events } from '../../../src/index.ts'
import { createOrigin, type Origin, type Reply } from '../../support/origin.ts'

const head = (status: string, ...headers: string[]): string =>
  `HTTP/1.1 ${status}\r\n${headers.map((each) => `${each}\r\n`).join('')}\r\n`

async function answer(path: string, method: string, reply: Reply, flaky: Set<string>): Promise<void> {
  const [, first = '', second] = path.replace(/\?.*/, '').split('/')
  if (first === 'status') {
    await reply.write(head(`${second} Nothing`, ...(second === '304' ? [] : [])))
  } else if (first === 'redirect' || first === 'refused') {
    await reply.write(head('302 Found', 'location: /40', 'content-length: 200000') + 'x'.repeat(200_000))
  } else if (first === 'hop') {
    await reply.write(head('302 Found', 'location: /40', 'content-length: 5') + 'moved')
  } else if (first === 'flaky' && !flaky.delete(path)) {
    flaky.add(path)
    await reply.write(head('503 Busy', 'content-length: 200000') + 'x'.repeat(200_000))
  } else if (first === 'chunked') {
    await reply.write(head('200 OK', 'transfer-encoding: chunked') + '0\r\n\r\n')
  } else if (first === 'late') {
    await reply.write(head('200 OK', 'transfer-encoding: chunked'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await reply.write('0\r\n\r\n')
  } else if (first === 'stalls') {
    await reply.write(head('200 OK', 'content-length: 100') + 'x'.repeat(10))
  } else if (first === 'silent') {
    await new Promise(() => {})
  } else {
    const size = Number(first) || 2
    const length = first === '0' ? 0 : size
    await reply.write(head('200 OK', `content-length: ${length}`))
    if (method !== 'HEAD') await reply.write('x'.repeat(length))
  }
}

export function serve(): Promise<Origin> {
  const flaky = new Set<string>()
  return createOrigin(({ path, method }, reply) => answer(path, method, reply, flaky))
}

/** Messages of one channel until it is disposed of. */
export function heard<K extends keyof Events>(channel: K): Events[K][] & Disposable {
  const messages: Events[K][] = []
  const listen = (message: unknown): void => void messages.push(message as Events[K])
  diagnostics.subscribe(channel, listen)
  return Object.assign(messages, { [Symbol.dispose]: () => void diagnostics.unsubscribe(channel, listen) })
}
