#!/usr/bin/env node
/** `drained`: one command per file. */
import { run } from './run.ts'

const [command, ...args] = process.argv.slice(2)
if (command === 'run') process.exitCode = await run(args)
else {
  process.stderr.write('Usage: drained run [options] app.js\n')
  process.exitCode = 64
}
