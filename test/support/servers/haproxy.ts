/** HAProxy as a reverse proxy. It sends no hint of its idle limit, and has no limit of requests. */
import fs from 'node:fs'
import path from 'node:path'
import { files, type Kind } from './server.ts'

export const haproxy: Kind = {
  command: 'haproxy',
  version: '-v',
  hasTls: true,
  args: (config) => ['-db', '-f', config],
  config: ({ backend, idle, port, tlsPort, folder }) => {
    // It wants certificate and key in one file.
    const both = path.join(folder, 'localhost.pem')
    fs.writeFileSync(both, fs.readFileSync(files.cert, 'utf8') + fs.readFileSync(files.key, 'utf8'))
    return `global
  maxconn 2048
defaults
  mode http
  timeout connect 10s
  timeout server 60s
  timeout client ${Math.max(idle, 60_000)}ms
  timeout http-keep-alive ${idle}ms
  # Without it a head waits up to 200 ms for the body that comes later.
  option http-no-delay
frontend front
  bind 127.0.0.1:${port}
  bind 127.0.0.1:${tlsPort} ssl crt ${both} alpn h2,http/1.1
  default_backend back
backend back
  server backend 127.0.0.1:${backend}
`
  },
}
