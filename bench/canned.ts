/**
 * The origin of the rates, a process of its own: whole answers ready in memory, over raw sockets, so that it is not what is measured.
 * It takes one request at a time on a connection, as HTTP/1.1 clients that do not pipeline send them.
 */
import net from 'node:net'
import { answerWith } from './run.ts'
import { blobs, chunked, json, large } from './shapes.ts'

const crlf = '\r\n'
const common = ['HTTP/1.1 200 OK', 'connection: keep-alive', 'keep-alive: timeout=60', 'server: canned']

function answer(headers: readonly string[], body: Buffer | string): Buffer {
  return Buffer.concat([Buffer.from([...common, ...headers, crlf].join(crlf)), Buffer.from(body)])
}

function inChunks(body: Buffer, size: number): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length; at += size) {
    const chunk = body.subarray(at, at + size)
    parts.push(Buffer.from(chunk.length.toString(16) + crlf), chunk, Buffer.from(crlf))
  }
  return Buffer.concat([...parts, Buffer.from(`0${crlf}${crlf}`)])
}

/** As Azure's Blob service answers a Get Blob. */
const blob = (size: number): Buffer =>
  answer(
    [
      `content-length: ${size}`,
      'content-type: application/octet-stream',
      'last-modified: Tue, 24 Nov 2026 10:00:00 GMT',
      'accept-ranges: bytes',
      'etag: "0x8DD000000000000"',
      'x-ms-request-id: 00000000-0000-0000-0000-000000000000',
      'x-ms-version: 2026-10-06',
      'x-ms-creation-time: Tue, 24 Nov 2026 10:00:00 GMT',
      'x-ms-lease-status: unlocked',
      'x-ms-lease-state: available',
      'x-ms-blob-type: BlockBlob',
      'x-ms-server-encrypted: true',
      'date: Tue, 24 Nov 2026 10:00:00 GMT',
    ],
    Buffer.alloc(size, 'x'),
  )
const sized = (body: Buffer): Buffer => answer([`content-length: ${body.length}`], body)
const answers = new Map<string, Buffer>([
  ['/json', answer(['content-type: application/json', `content-length: ${json.length}`], json)],
  [`/${large}`, sized(Buffer.alloc(large, 'x'))],
  // Longer than anybody reads ahead, and never more of it than this.
  ['/endless', answer([`content-length: ${large}`], 'x')],
  ['/chunked', answer(['transfer-encoding: chunked'], inChunks(Buffer.alloc(chunked, 'x'), 100))],
])
for (const size of Object.values(blobs)) answers.set(`/account/container/${size}`, blob(size))
const received = answer(['content-length: 0'], '')

/** Whether a request body has ended; bodies here hold nothing but x, so the last chunk's size cannot be in one. */
function endOf(head: string): (part: Buffer) => boolean {
  const length = /^content-length: *(\d+)/im.exec(head)?.[1]
  if (length === undefined) {
    let tail = ''
    return (part) => {
      tail = (tail + part.toString('latin1', Math.max(0, part.length - 5))).slice(-5)
      return tail === `0${crlf}${crlf}`
    }
  }
  let left = Number(length)
  return (part) => (left -= part.length) <= 0
}

const counts = { accepted: 0, resets: 0, requests: 0 }
const server = net.createServer({ noDelay: true }, (socket) => {
  counts.accepted++
  let head: Buffer | undefined
  let hasEnded: ((part: Buffer) => boolean) | undefined

  function receive(part: Buffer): void {
    if (hasEnded?.(part) !== true) return
    hasEnded = undefined
    socket.write(received)
  }

  socket.on('error', () => counts.resets++)
  socket.on('data', (part: Buffer) => {
    if (hasEnded !== undefined) return receive(part)
    const seen = head === undefined ? part : Buffer.concat([head, part])
    const end = seen.indexOf('\r\n\r\n')
    head = end < 0 ? seen : undefined
    if (end < 0) return
    if (seen[0] === 0x47 /* GET */) {
      const found = answers.get(seen.toString('latin1', 4, seen.indexOf(' ', 4)))
      if (found === undefined) socket.destroy()
      else socket.write(found)
      return
    }
    hasEnded = endOf(seen.toString('latin1', 0, end))
    receive(seen.subarray(end + 4))
  })
})

const listening = new Promise<string>((resolve) => {
  server.listen(0, '127.0.0.1', () =>
    resolve(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`),
  )
})
answerWith(({ ask }: { ask: string }) => {
  if (ask === 'url') return listening
  const { user, system } = process.cpuUsage()
  return { ...counts, cpu: user + system }
})
