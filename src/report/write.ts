/** Puts a report where it was asked for, at once: nothing that is left for later happens at the end of a process. Never throws. */
import fs from 'node:fs'
import type { Report } from './model.ts'
import { pageReport } from './page.ts'
import type { ReportOptions } from './preload-options.ts'
import { textReport } from './text.ts'

/** Milliseconds to wait for whoever reads standard error: a pager that nobody scrolls must not keep the program. */
const patience = 1_000

export function write(make: () => Report, { print, html }: ReportOptions): void {
  let what = 'report'
  try {
    const report = make()
    if (print === 'text') writeError(textReport(report))
    if (print === 'json') writeError(`${JSON.stringify(report)}\n`)
    if (html === undefined) return
    what = 'page'
    fs.writeFileSync(html, pageReport(report))
    if (print === 'text') writeError(`\n  page: ${html}\n`)
  } catch (error) {
    writeError(`drained: no ${what}: ${error instanceof Error ? error.message : String(error)}\n`)
  }
}

/** Tells a file, pipe or terminal from all others. */
function identityOf(fd: number): string | undefined {
  try {
    const { dev, ino, rdev } = fs.fstatSync(fd)
    return [dev, ino, rdev].join()
  } catch {
    return undefined
  }
}

/** What standard error was when the program began. */
const standardError = identityOf(2)

/** A pipe may be full, and does not block. A program may have closed it: what has its number since then is the program's own. */
function writeError(text: string): void {
  if (standardError === undefined || identityOf(2) !== standardError) return
  let rest = Buffer.from(text)
  const deadline = performance.now() + patience
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(2, rest))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > deadline) return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
}
