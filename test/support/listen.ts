/** A server of Node's on loopback that is gone with the test, whether that succeeds or fails. */
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'

export interface Listening extends AsyncDisposable {
  readonly port: number
  /** Over HTTP in the clear, without a path. */
  readonly url: string
  /** Connections accepted so far. */
  accepted: number
  /** Whom they came from. */
  readonly from: Set<string | undefined>
}

export async function listen(server: net.Server): Promise<Listening> {
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    listening.accepted++
    listening.from.add(socket.remoteAddress)
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const listening: Listening = {
    port,
    url: `http://127.0.0.1:${port}`,
    accepted: 0,
    from: new Set(),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return listening
}
