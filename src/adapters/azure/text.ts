/** A response body to be returned as text: collected whole. */
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Sink } from './exchange.ts'

export class TextSink implements Sink {
  readonly #chunks: Buffer[] = []
  readonly #controller: Dispatcher.DispatchController
  readonly #onEnd: (error: Error | undefined, text: string) => void

  constructor(
    controller: Dispatcher.DispatchController,
    onEnd: (error: Error | undefined, text: string) => void,
  ) {
    this.#controller = controller
    this.#onEnd = onEnd
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  end(): void {
    this.#onEnd(undefined, joined(this.#chunks))
  }

  fail(error: Error): void {
    this.#onEnd(error, '')
  }

  abort(error: Error): void {
    this.#onEnd(error, '')
    this.#controller.abort(error)
  }
}

/** What a stream brings, as text. */
export async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return joined(chunks)
}

const joined = (chunks: readonly Buffer[]): string =>
  (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)).toString('utf8')
