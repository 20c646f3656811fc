/** Squid as a forward proxy: absolute URLs, and CONNECT to any port. */
import type { Kind } from './server.ts'

export const squid: Kind = {
  command: 'squid',
  version: '-v',
  hasTls: false,
  args: (config) => ['-N', '-d', '1', '-f', config],
  config: ({ idle, port, folder }) => `
http_port 127.0.0.1:${port}
visible_hostname localhost
http_access allow all
cache deny all
pid_filename none
access_log none
cache_log ${folder}/cache.log
cache_store_log none
coredump_dir ${folder}
client_idle_pconn_timeout ${Math.ceil(idle / 1_000)} seconds
shutdown_lifetime 0 seconds
pinger_enable off
`,
}
