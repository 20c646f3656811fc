/**
 * The part of `drained run` that is in the program: puts it on drained, records, and reports at its end and on SIGUSR2. What goes wrong here is said, and
 * never changes what the program does. Forks and threads inherit Node's flags: they are put on drained, and not reported.
 */
import path from 'node:path'
import { isMainThread } from 'node:worker_threads'
import '../node-version.ts'
import { installFrom } from '../process/environment.ts'
import { current } from '../process/install.ts'
import { atEnd } from './end.ts'
import { optionsFrom } from './preload-options.ts'
import { Recorder } from './recorder.ts'
import { write } from './write.ts'

const options = optionsFrom(import.meta.url)
const isIt = options.pid === process.pid || options.parent === process.ppid

if (!isMainThread || !isIt) installFrom(process.env, {})
else {
  // Whoever wants a report wants to know where, and can wait for it.
  installFrom(process.env, { leaks: 'all' })
  const recorder = new Recorder(() => current()?.installed.stats() ?? {})
  const program = nameOf(process.argv[1])
  const report = (ended: string): void =>
    write(() => recorder.report(program, ended, current()?.hasFetch !== true), options)
  atEnd(report)
  process.on('SIGUSR2', () => report('running'))
}

/** As short as it is clear. */
function nameOf(file: string | undefined): string {
  if (file === undefined) return 'node'
  const relative = path.relative(process.cwd(), file)
  return relative.startsWith('..') ? file : relative
}
