/** An address that refuses connections for as long as this process lives. A port that was closed may be somebody else's a moment later. */
import { once } from 'node:events'
import net from 'node:net'

export interface Refused {
  readonly host: string
  readonly port: number
  /** Without a path. */
  readonly url: string
}

let known: Promise<Refused> | undefined

/** The port is held on one loopback address, so nobody is given it for all of them, and asked for on another. */
async function hold(): Promise<Refused> {
  const server = net.createServer().listen(0, '127.0.0.1').unref()
  await once(server, 'listening')
  const host = '127.0.0.2'
  const { port } = server.address() as net.AddressInfo
  return { host, port, url: `http://${host}:${port}` }
}

export const refused = (): Promise<Refused> => (known ??= hold())
