/** Installs with options of its own, in itself, a fork and a thread, and says what came of it in each. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import { isMainThread, Worker } from 'node:worker_threads'
import { install } from '../../../src/index.ts'

install({ connections: 3 })
console.log(http.globalAgent.maxSockets)
if (isMainThread && process.argv[2] !== 'child') {
  await once(fork(import.meta.filename, ['child']), 'exit')
  await once(new Worker(import.meta.filename), 'exit')
}
