/** The embedded origin: answers as a storage service does, on one port per client, and tells its parent what it accepts. */
import net from 'node:net'

const MiB = 1024 * 1024
const head = (status: string, more = ''): string =>
  `HTTP/1.1 ${status}\r\ncontent-type: application/xml\r\n${more}\r\n`
const filled = (bytes: number): Buffer => Buffer.alloc(bytes, '<Blob><Name>x</Name></Blob>')
const blob = filled(8 * MiB)

async function answer(path: string, socket: net.Socket): Promise<void> {
  switch (path) {
    case '/created':
      // The answer of 2013: empty and chunked, its last chunk in a packet of its own.
      socket.write(head('201 Created', 'transfer-encoding: chunked\r\n'))
      setTimeout(() => socket.write('0\r\n\r\n'), 5)
      return
    case '/missing':
      return send(socket, '404 Not Found', filled(MiB))
    case '/busy':
      return send(socket, '503 Server Busy', filled(MiB))
    case '/moved':
      return send(socket, '302 Found', filled(256 * 1024), 'location: /small\r\n')
    case '/blob':
      return send(socket, '200 OK', blob)
    case '/feed':
      socket.write(head('200 OK', 'transfer-encoding: chunked\r\n'))
      socket.on('close', () => clearInterval(timer))
      const timer = setInterval(() => socket.writable && socket.write('3\r\n<x>\r\n'), 20)
      return
    default:
      return send(socket, '200 OK', filled(512))
  }
}

function send(socket: net.Socket, status: string, body: Buffer, more = ''): void {
  socket.write(head(status, `${more}content-length: ${body.length}\r\n`))
  socket.write(body)
}

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
    void answer(path, socket)
  })
}

const opened = new Map<number, number>()
const open = new Map<number, number>()
const add = (counts: Map<number, number>, port: number, by: number): void =>
  void counts.set(port, (counts.get(port) ?? 0) + by)

/** The parent sends how many ports it wants, and gets `{ ports }`, then `{ opened, open }` ten times a second. */
process.on('message', (wanted: number) => {
  const ports: number[] = []
  for (let i = 0; i < wanted; i++) {
    const server = net.createServer((socket) => {
      const port = socket.localPort ?? 0
      add(opened, port, 1)
      add(open, port, 1)
      socket.on('close', () => add(open, port, -1))
      serve(socket)
    })
    server.listen(0, '127.0.0.1', () => {
      ports.push((server.address() as net.AddressInfo).port)
      if (ports.length === wanted) process.send?.({ ports })
    })
  }
  setInterval(() => process.send?.({ opened: [...opened], open: [...open] }), 100)
})
process.on('disconnect', () => process.exit())
