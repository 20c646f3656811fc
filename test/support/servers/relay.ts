/** A TCP relay in front of a server that counts the connections a client makes, and passes bytes, FIN and RST on. */
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'

export interface Relay extends AsyncDisposable {
  readonly port: number
  accepted: number
  open: number
}

export async function createRelay(port: number): Promise<Relay> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    relay.accepted++
    relay.open++
    near.on('close', () => relay.open--)
    const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    join(near, far)
    join(far, near)
  })

  function join(from: net.Socket, to: net.Socket): void {
    sockets.add(from)
    from.pipe(to)
    from.on('error', () => to.resetAndDestroy())
    from.on('close', () => {
      sockets.delete(from)
      // Nobody is left to take what still comes.
      if (!to.writableEnded) to.destroy()
    })
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const relay: Relay = {
    port: (server.address() as AddressInfo).port,
    accepted: 0,
    open: 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return relay
}
