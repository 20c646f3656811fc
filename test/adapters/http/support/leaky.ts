/** An origin that answers by its path with the shapes that pools leak on. */
import { createOrigin, type Origin } from '../../../support/origin.ts'
import { pattern, serveShapes } from '../../../support/shapes.ts'

const KiB = 1024
const ok = 'HTTP/1.1 200 OK\r\netag: "1"\r\n'

/** Path and the body its reader gets. */
export const paths: Readonly<Record<string, Buffer>> = {
  empty: Buffer.alloc(0),
  'late-end': pattern(1000),
  '1024': pattern(KiB),
  '102400': pattern(100 * KiB),
  '1048576': pattern(1024 * KiB),
  '404': pattern(256 * KiB),
  '302': Buffer.from('ok'),
}

export function createLeakyOrigin(): Promise<Origin> {
  return createOrigin(async (seen, reply) => {
    // SDKs put a bucket or a container before it.
    const path = (seen.path.split('?')[0] ?? '').split('/').at(-1) ?? ''
    const body = paths[path]
    if (path === 'empty') {
      await reply.write(`${ok}transfer-encoding: chunked\r\n\r\n`)
      await new Promise((resolve) => setTimeout(resolve, 2))
      await reply.write('0\r\n\r\n')
    } else if (path === 'late-end') {
      await reply.write(`${ok}transfer-encoding: chunked\r\n\r\n3e8\r\n`)
      await reply.write(pattern(1000))
      await new Promise((resolve) => setTimeout(resolve, 2))
      await reply.write('\r\n0\r\n\r\n')
    } else if (path === '302') {
      const host = /host: (\S+)/.exec(seen.headers)?.[1]
      await reply.write(
        `HTTP/1.1 302 Found\r\nlocation: http://${host}/ok\r\ncontent-length: ${256 * KiB}\r\n\r\n`,
      )
      await reply.write(pattern(256 * KiB))
    } else if (body !== undefined) {
      const status = path === '404' ? 'HTTP/1.1 404 Not Found\r\n' : ok
      const type = path === '404' ? 'content-type: text/plain\r\n' : ''
      await reply.write(`${status}${type}content-length: ${body.length}\r\n\r\n`)
      await reply.write(body)
    } else {
      await serveShapes({ ...seen, path: `/${path}` }, reply)
    }
  })
}
