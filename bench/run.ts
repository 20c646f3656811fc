/** Child processes of the benches: an origin, and one process per measurement. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

const here = (file: string): string => path.join(import.meta.dirname, file)

export interface Counts {
  readonly accepted: number
  readonly resets: number
}

export interface BenchOrigin {
  readonly url: string
  readonly port: number
  stop(): void
}

export async function startOrigin(scheme: 'http' | 'https' = 'http'): Promise<BenchOrigin> {
  const child: ChildProcess = fork(here('origin.ts'), [scheme])
  const [url] = (await once(child, 'message')) as [string]
  return { url, port: Number(new URL(url).port), stop: () => void child.kill() }
}

/** Runs one task in a fresh process; the last message it sends within the time is the result. */
export function inChild<T>(
  task: object,
  { execArgv = [], timeout }: { execArgv?: string[]; timeout: number },
): Promise<T | undefined> {
  const child = fork(here('child.ts'), { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  return new Promise((resolve) => {
    let last: T | undefined
    const timer = setTimeout(() => child.kill(), timeout)
    child.on('message', (message) => {
      last = message as T
    })
    child.on('exit', () => {
      clearTimeout(timer)
      resolve(last)
    })
    child.send(task)
  })
}

export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
        .join('  '),
    )
    .join('\n')
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}
