/** The embedded origin: answers as a storage service does, on one port per client, and counts the connections it accepts. */
import net from 'node:net'

const MiB = 1024 * 1024
const filled = (bytes: number): Buffer => Buffer.alloc(bytes, '<Blob><Name>x</Name></Blob>')
const whole = (status: string, bytes: number, more = ''): Buffer =>
  Buffer.concat([head(status, `${more}content-length: ${bytes}\r\n`), filled(bytes)])

function head(status: string, more: string): Buffer {
  return Buffer.from(`HTTP/1.1 ${status}\r\ncontent-type: application/xml\r\n${more}\r\n`)
}

const chunked = 'transfer-encoding: chunked\r\n'
const answers: Record<string, Buffer> = {
  '/small': whole('200 OK', 512),
  '/missing': whole('404 Not Found', MiB),
  '/busy': whole('503 Server Busy', MiB),
  '/moved': whole('302 Found', 256 * 1024, 'location: /small\r\n'),
  '/blob': whole('200 OK', 8 * MiB),
  '/created': head('201 Created', chunked),
  '/feed': head('200 OK', chunked),
}

function answer(path: string, socket: net.Socket): void {
  socket.write(answers[path] ?? whole('400 Bad Request', 0))
  // The answer of 2013: empty and chunked, its last chunk in a packet of its own.
  if (path === '/created') setTimeout(() => socket.writable && socket.write('0\r\n\r\n'), 5)
  if (path === '/feed') {
    const timer = setInterval(() => socket.writable && socket.write('3\r\n<x>\r\n'), 20)
    socket.on('close', () => clearInterval(timer))
  }
}

/** Requests are GETs, one at a time on a connection. */
function serve(socket: net.Socket): void {
  let text = ''
  socket.setNoDelay(true)
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1')
    const end = text.indexOf('\r\n\r\n')
    if (end === -1) return
    const path = text.split(' ', 2)[1] ?? '/'
    text = text.slice(end + 4)
    answer(path, socket)
  })
}

interface Counts {
  opened: number
  open: number
}
const counts = new Map<number, Counts>()

function listen(): Promise<number> {
  const seen: Counts = { opened: 0, open: 0 }
  const server = net.createServer((socket) => {
    seen.opened++
    seen.open++
    socket.on('close', () => seen.open--)
    serve(socket)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      counts.set(port, seen)
      resolve(port)
    })
  })
}

/** `{ listen: n }` is answered with `{ ports }`, `{ count: port }` with `{ opened, open }`. */
process.on('message', (ask: { listen: number } | { count: number }) => {
  if ('count' in ask) process.send?.(counts.get(ask.count))
  else void Promise.all(Array.from({ length: ask.listen }, listen)).then((ports) => process.send?.({ ports }))
})
process.on('disconnect', () => process.exit())
