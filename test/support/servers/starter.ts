/** A process that starts nginx, tells the numbers of what it started, and waits to be killed. */
import fs from 'node:fs'
import { nginx, start } from './index.ts'

const childrenOf = (pid: number): number[] =>
  fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)])
}

const server = await start(nginx, { backend: 1 })
process.send?.({ pids: descendantsOf(process.pid), port: server.port })
