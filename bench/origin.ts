/** The origin of the benches, a process of its own: bodies by path. */
import http from 'node:http'
import https from 'node:https'
import fs from 'node:fs'
import type net from 'node:net'
import path from 'node:path'
import { answerWith } from './run.ts'
import { json } from './shapes.ts'

const KiB = 1024
const filled = Buffer.alloc(64 * KiB, 'x')
const counts = { accepted: 0, resets: 0, requests: 0 }
/** Calls that have failed once. */
const failed = new Set<string>()

async function send(outgoing: http.ServerResponse, size: number): Promise<void> {
  outgoing.setHeader('content-length', size)
  for (let left = size; left > 0 && !outgoing.destroyed; left -= filled.length) {
    if (outgoing.write(left < filled.length ? filled.subarray(0, left) : filled)) continue
    await new Promise<void>((resolve) => {
      const go = (): void => {
        outgoing.off('drain', go).off('close', go)
        resolve()
      }
      outgoing.on('drain', go).on('close', go)
    })
  }
  outgoing.end()
}

function answer(incoming: http.IncomingMessage, outgoing: http.ServerResponse): void {
  const where = incoming.url ?? '/'
  incoming.resume()
  counts.requests++
  if (where === '/json') outgoing.setHeader('content-type', 'application/json').end(json)
  else if (where === '/empty') {
    outgoing.writeHead(201).flushHeaders()
    setImmediate(() => outgoing.end())
  } else if (where === '/endless') {
    const timer = setInterval(() => outgoing.write('tick\n'), 20)
    outgoing.on('close', () => clearInterval(timer))
  } else if (where === '/404') {
    outgoing.statusCode = 404
    void send(outgoing, 1024 * KiB)
  } else if (where === '/302') {
    outgoing.writeHead(302, { location: '/json', 'content-length': 256 * KiB })
    outgoing.end(Buffer.alloc(256 * KiB))
  } else if (where.startsWith('/busy/') || isUnlucky(where)) {
    outgoing.statusCode = 503
    void send(outgoing, 256 * KiB)
  } else if (where.startsWith('/flaky/')) outgoing.end(json)
  else void send(outgoing, Number(where.slice(1)))
}

/** 15 of 100 calls fail the first time. */
function isUnlucky(where: string): boolean {
  const [, kind, call] = where.split('/')
  if (kind !== 'flaky' || (Number(call) * 37) % 100 >= 15 || failed.has(where)) return false
  failed.add(where)
  return true
}

const support = path.join(import.meta.dirname, '../test/support')
const isTls = process.argv[2] === 'https'
const server = isTls
  ? https.createServer(
      { key: fs.readFileSync(`${support}/localhost.key`), cert: fs.readFileSync(`${support}/localhost.crt`) },
      answer,
    )
  : http.createServer(answer)
server.keepAliveTimeout = 60_000
server.on(isTls ? 'secureConnection' : 'connection', (socket: net.Socket) => {
  counts.accepted++
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // EPIPE: a reset that came after the other side's FIN.
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') counts.resets++
  })
})
const listening = new Promise<string>((resolve) => {
  server.listen(0, '127.0.0.1', () =>
    resolve(`${isTls ? 'https' : 'http'}://127.0.0.1:${(server.address() as net.AddressInfo).port}`),
  )
})
answerWith(({ ask }: { ask: string }) => {
  if (ask === 'url') return listening
  const { user, system } = process.cpuUsage()
  return { ...counts, cpu: user + system }
})
