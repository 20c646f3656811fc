/** Processes of the benches: origins, and clients. Each is asked one thing at a time. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

export interface Worker {
  /** Rejects with the error of the other side, when it dies, and after the time it may take. */
  ask<T>(task: object, timeout?: number): Promise<T>
  /** Ends the process; resolves when it is gone. */
  stop(): Promise<void>
}

type Reply = { result: unknown } | { error: string }

export function startWorker(
  file: string,
  { args = [], execArgv = [] }: { args?: string[]; execArgv?: string[] } = {},
): Worker {
  const child = fork(path.join(import.meta.dirname, file), args, {
    execArgv,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  let settle: ((reply: Reply) => void) | undefined
  let gone = false
  child.on('message', (reply) => settle?.(reply as Reply))
  child.on('exit', (code, signal) => {
    gone = true
    settle?.({ error: `the process ended (${signal ?? code})` })
  })
  return {
    async ask<T>(task: object, timeout = 30_000): Promise<T> {
      if (gone) throw new Error('the process has ended')
      const reply = await new Promise<Reply>((resolve) => {
        const timer = setTimeout(resolve, timeout, { error: `no answer within ${timeout / 1_000} s` })
        settle = (each) => {
          clearTimeout(timer)
          resolve(each)
        }
        child.send(task, (error) => {
          if (error !== null) settle?.({ error: String(error) })
        })
      })
      settle = undefined
      if ('error' in reply) throw new Error(reply.error)
      return reply.result as T
    },
    async stop() {
      if (gone) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** Answers what `ask` asks: the other side of a worker. */
export function answerWith<T>(answer: (task: T) => unknown): void {
  process.on('message', (task: T) => {
    void Promise.resolve(task)
      .then(answer)
      .then(
        (result) => process.send?.({ result }),
        (error: unknown) => process.send?.({ error: messageOf(error) }),
      )
  })
  process.on('disconnect', () => process.exit())
}

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? String(error) : `${error}: ${messageOf(error.cause)}`
}

/** One task in a fresh process, which is gone when it resolves. */
export async function inChild<T>(
  task: object,
  { execArgv = [], timeout }: { execArgv?: string[]; timeout: number },
): Promise<T | { error: string }> {
  const child = startWorker('child.ts', { execArgv })
  try {
    return await child.ask<T>(task, timeout)
  } catch (error) {
    return { error: messageOf(error) }
  } finally {
    await child.stop()
  }
}

export interface Origin {
  readonly url: string
  readonly port: number
  /** Connections accepted and reset, and CPU time used in µs, all so far. */
  counts(): Promise<Counts>
  stop(): Promise<void>
}

export interface Counts {
  readonly accepted: number
  readonly resets: number
  /** Not counted by `canned`. */
  readonly requests: number
  readonly cpu: number
}

/** `canned` is a raw socket server that can keep up with any client; the others can answer in any shape. */
export async function startOrigin(kind: 'http' | 'https' | 'canned' = 'http'): Promise<Origin> {
  const worker = startWorker(kind === 'canned' ? 'canned.ts' : 'origin.ts', { args: [kind] })
  const url = await worker.ask<string>({ ask: 'url' })
  return {
    url,
    port: Number(new URL(url).port),
    counts: () => worker.ask<Counts>({ ask: 'counts' }),
    stop: () => worker.stop(),
  }
}
