/** HTTP/2: the last answer of a connection, whose end comes in one piece with that of the connection. */
import tls from 'node:tls'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { testClient } from '../support/client.ts'
import { tls as pem } from '../support/h2.ts'

const frame = (type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer => {
  const bytes = Buffer.from(payload)
  const head = Buffer.alloc(9)
  head.writeUIntBE(bytes.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, bytes])
}

/** `:status: 200`, and `content-length: 2` as a literal (RFC 7541, 6.2.2: name 28 of the static table). */
const headers = Buffer.from([0x88, 0x0f, 0x0d, 0x01, 0x32])
/** SETTINGS, that of the client acknowledged, GOAWAY (no stream after the first is processed; no error). */
const start = [frame(0x4, 0, 0), frame(0x4, 0x1, 0), frame(0x7, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]))]
const answer = [frame(0x1, 0x4, 1, headers), frame(0x0, 0x1, 1, 'ok')]

test('an answer that is whole when its connection ends reaches its reader', async () => {
  let accepted = 0
  const server = tls.createServer({ ...pem, ALPNProtocols: ['h2'] }, (socket) => {
    accepted++
    let received = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      // Its HEADERS frame on stream 1 (type 1, flags END_STREAM and END_HEADERS).
      if (received.includes(Buffer.from([0x1, 0x5, 0, 0, 0, 1]))) {
        // As nginx does it: undici sees the end of the connection before it is told of that of the stream.
        socket.write(Buffer.concat(start))
        socket.end(Buffer.concat(answer))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await using client = testClient({ tls: { ca: pem.cert } })
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
    for (let i = 1; i <= 20; i++) {
      expect(await (await client.fetch(url)).text()).toBe('ok')
      expect(accepted).toBe(i)
    }
    expect(client.stats().bodies).toMatchObject({ read: 20, closed: 0 })
  } finally {
    server.close()
  }
})
