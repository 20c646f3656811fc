/** The server of the rig: storage-like answers, on a port that is none of the 100. */
import { createOrigin, type Script } from '../origin.ts'
import { pattern } from '../shapes.ts'

const KiB = 1024
const bodies: Record<string, Buffer> = {
  '/blob': pattern(100 * KiB),
  // More than is drained.
  '/large': pattern(2 * KiB * KiB),
}
const chunk = `2000\r\n${'<Blob/>'.padEnd(8 * KiB)}\r\n`

const script: Script = async ({ method, path }, reply) => {
  if (method === 'PUT' || method === 'DELETE') {
    await reply.write('HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n')
    // In a packet of its own: whoever does not read on never sees it.
    await new Promise(setImmediate)
    await reply.write('0\r\n\r\n')
  } else if (path === '/missing' || path === '/list') {
    const status = path === '/list' ? '200 OK' : '404 Not Found'
    await reply.write(`HTTP/1.1 ${status}\r\ntransfer-encoding: chunked\r\n\r\n`)
    await reply.write(`${chunk.repeat(path === '/list' ? 16 : 1)}0\r\n\r\n`)
  } else {
    const body = bodies[path] as Buffer
    await reply.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`)
    for (let at = 0; at < body.length && reply.isOpen; at += 64 * KiB)
      await reply.write(body.subarray(at, at + 64 * KiB))
  }
}

const origin = await createOrigin(script, 8_080)
process.on('message', () => process.send?.({ accepted: origin.accepted }))
process.on('disconnect', () => process.exit())
process.send?.({ url: origin.url })
