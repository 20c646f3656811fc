/** A process with the sockets somebody asks for. Sends `ready` to its parent once they are there, and ends with it. */
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'

const [kind = '', host = '127.0.0.1', port = '0', count = '0'] = process.argv.slice(2)
const times = Array.from({ length: Number(count) }, (_, at) => at)
const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}/`
/** Nothing is collected. */
const kept: unknown[] = []

const connect = (options: object = {}): Promise<net.Socket> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ host, port: Number(port), ...options }, () => resolve(socket))
    socket.on('error', reject)
    kept.push(socket)
  })

/** Hands the process's own address on once it listens. */
const listen = (server: net.Server, options: net.ListenOptions = {}): Promise<number> =>
  new Promise((resolve) =>
    server.listen({ host, port: 0, ...options }, () => resolve((server.address() as AddressInfo).port)),
  )

const kinds: Record<string, () => Promise<unknown>> = {
  /** Answers that nobody reads. */
  leaky: async () => {
    for (const _ of times) kept.push(await fetch(url))
  },
  healthy: async () => {
    for (const _ of times) await (await fetch(url)).arrayBuffer()
  },
  /** The server closes; half of them see it and do nothing, half do not even look. */
  halfOpen: () =>
    Promise.all(
      times.map(async (at) => {
        const socket = await connect({ allowHalfOpen: true })
        if (at % 2 === 0) socket.resume()
      }),
    ),
  idle: async () => {
    // Not all at once: a listening socket has room for 511.
    for (const _ of times) await connect()
  },
  /** Connections nobody will accept. */
  trying: async () => times.forEach(() => void connect().catch(() => {})),
  /** Accepts, reads nothing. */
  server: () => listen(net.createServer((socket) => kept.push(socket.pause()))),
  /** Listens and never accepts: after two connections nobody gets an answer. */
  deaf: async () => {
    const address = await listen(net.createServer(), { backlog: 1 })
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000))
    return address
  },
  /** A server of its own, whose answers it does not read. */
  self: async () => {
    const server = http.createServer((_, response) => response.end(Buffer.alloc(1 << 20)))
    const own = await listen(server)
    for (const _ of times) kept.push(await fetch(`http://${host}:${own}/`))
    return own
  },
  /** Connections to a server of its own, closed from this side, and one that stays. */
  closing: async () => {
    const own = await listen(net.createServer((socket) => socket.resume()))
    for (const _ of times) {
      const socket = await connect({ port: own })
      socket.end().resume()
      await new Promise((resolve) => socket.once('close', resolve))
    }
    await connect({ port: own })
    return own
  },
}

const own = await kinds[kind]?.()
process.send?.({ port: own })
process.on('disconnect', () => process.exit())
