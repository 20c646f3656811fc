/** nginx as a reverse proxy. It sends no hint of its idle limit. */
import { files, type Kind } from './server.ts'

const user = process.getuid?.() === 0 ? 'user root;' : ''

export const nginx: Kind = {
  command: 'nginx',
  version: '-v',
  hasTls: true,
  args: (config) => ['-e', 'stderr', '-c', config],
  config: ({ backend, idle, requests = 1_000_000, port, tlsPort, folder }) => `
    daemon off;
    pid ${folder}/pid;
    error_log stderr;
    ${user}
    worker_processes 1;
    events { worker_connections 2048; }
    http {
      access_log off;
      client_body_temp_path ${folder}/body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      proxy_max_temp_file_size 0;
      keepalive_timeout ${idle}ms;
      keepalive_requests ${requests};
      upstream backend { server 127.0.0.1:${backend}; keepalive 128; keepalive_requests 1000000; }
      server {
        listen 127.0.0.1:${port};
        listen 127.0.0.1:${tlsPort} ssl http2;
        ssl_certificate ${files.cert};
        ssl_certificate_key ${files.key};
        location / {
          proxy_pass http://backend;
          proxy_http_version 1.1;
          proxy_set_header Connection "";
        }
      }
    }`,
}
