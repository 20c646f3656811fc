/** Time limits: each is over once, and its error says which, where and after how long. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import net, { type AddressInfo, type Server } from 'node:net'
import { createClient, TimeoutError } from '../src/index.ts'

const server = createServer((request, response) => {
  // The headers, a part of the body, and then nothing; `/silent` has not even that.
  if (request.url?.startsWith('/stalls'))
    response.writeHead(200, { 'content-length': 10_000_000 }).write('part')
  if (request.url?.startsWith('/ticks')) {
    const timer = setInterval(() => response.write('tick'), 10)
    response.on('close', () => clearInterval(timer))
  }
})
/** Takes connections, and never answers a TLS handshake. */
const mute = net.createServer((socket) => socket.resume().on('error', () => {}))

async function listen(on: Server): Promise<string> {
  await once(on.listen(0, '127.0.0.1'), 'listening')
  return `127.0.0.1:${(on.address() as AddressInfo).port}`
}

async function tell(call: Promise<unknown>): Promise<void> {
  try {
    await call
    console.log('in time')
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error
    console.log(`${error.phase.padEnd(8)} ${error.message}`)
  }
}

const [host, muteHost] = await Promise.all([listen(server), listen(mute)])
const client = createClient({ origin: `http://${host}`, connections: 1 })

const hasty = createClient({ timeout: { connect: 100 } })
await tell(hasty.fetch(`https://${muteHost}/`))

// The only connection is held by a body that nobody has touched yet, so the second call waits for it.
const held = await client.fetch('/stalls')
await tell(client.fetch('/waits', { timeout: { queue: 50 } }))
await held.body?.cancel()

await tell(client.fetch('/silent?sig=secret', { timeout: { headers: 50 } }))

const stalling = await client.fetch('/stalls', { timeout: { body: 50 } })
await tell(stalling.text())

// Its headers and every part of its body come in time, but it has no end.
const limits = { headers: 5_000, body: 5_000, total: 300 }
await tell(client.fetch('/ticks', { timeout: limits }).then((ticking) => ticking.text()))

await Promise.all([client.destroy(), hasty.destroy()])
server.closeAllConnections()
server.close()
mute.close()
