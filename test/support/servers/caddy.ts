/** Caddy as a reverse proxy. It sends no hint of its idle limit, and has no limit of requests. */
import { files, type Kind } from './server.ts'

export const caddy: Kind = {
  command: 'caddy',
  version: 'version',
  hasTls: true,
  args: (config) => ['run', '--config', config, '--adapter', 'caddyfile'],
  config: ({ backend, idle, port, tlsPort }) => `{
  admin off
  auto_https off
  servers {
    timeouts {
      idle ${idle}ms
    }
  }
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${backend}
}
https://127.0.0.1:${tlsPort} {
  bind 127.0.0.1
  tls ${files.cert} ${files.key}
  reverse_proxy 127.0.0.1:${backend}
}
`,
}
