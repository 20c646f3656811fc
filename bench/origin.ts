/** The origin of the benches, a process of its own: bodies by path, and counts at `/counts`. */
import http from 'node:http'
import https from 'node:https'
import fs from 'node:fs'
import type { AddressInfo } from 'node:net'
import path from 'node:path'

const KiB = 1024
const filled = Buffer.alloc(64 * KiB, 'x')
const json = JSON.stringify({ id: 1, name: 'drained', tags: ['a', 'b'], at: '2026-01-01T00:00:00Z' })
const counts = { accepted: 0, resets: 0 }

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
  if (where === '/counts') outgoing.end(JSON.stringify(counts))
  else if (where === '/json') outgoing.setHeader('content-type', 'application/json').end(json)
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
  } else void send(outgoing, Number(where.slice(1)))
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
server.on('connection', (socket) => {
  counts.accepted++
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNRESET') counts.resets++
  })
})
server.listen(0, '127.0.0.1', () => {
  process.send?.(`${isTls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.on('disconnect', () => process.exit())
