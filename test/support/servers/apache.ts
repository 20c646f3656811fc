/** Apache (event) as a reverse proxy. It sends `Keep-Alive: timeout=s, max=n` and counts max down. */
import fs from 'node:fs'
import { files, type Kind } from './server.ts'

const modules = '/usr/lib/apache2/modules'
const names = ['mpm_event', 'authz_core', 'socache_shmcb', 'ssl', 'http2', 'proxy', 'proxy_http']

export const apache: Kind = {
  command: 'apache2',
  version: '-v',
  hasTls: true,
  args: (config) => ['-DFOREGROUND', '-f', config],
  config: ({ backend, idle, requests = 0, port, tlsPort, folder }) => {
    const load = names
      .filter((name) => fs.existsSync(`${modules}/mod_${name}.so`))
      .map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`)
    return `
ServerName localhost
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/pid
Mutex file:${folder}
ErrorLog ${folder}/error.log
${load.join('\n')}
User nobody
Group nogroup
Listen 127.0.0.1:${port}
Listen 127.0.0.1:${tlsPort}
StartServers 1
ServerLimit 4
MaxRequestWorkers 256
ThreadsPerChild 64
KeepAlive On
KeepAliveTimeout ${idle}ms
MaxKeepAliveRequests ${requests}
ProxyPass / http://127.0.0.1:${backend}/
<VirtualHost 127.0.0.1:${tlsPort}>
  Protocols h2 http/1.1
  SSLEngine on
  SSLCertificateFile ${files.cert}
  SSLCertificateKeyFile ${files.key}
  ProxyPass / http://127.0.0.1:${backend}/
</VirtualHost>
`
  },
}
