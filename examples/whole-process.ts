/** A program that knows nothing of this library, without and with `--import drained/register`: sockets it opens for 40 ignored errors. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const program = `
  import http from 'node:http'
  const url = process.argv[1]
  const kept = []
  for (let i = 0; i < 20; i++) {
    kept.push(await fetch(url))
    kept.push(await new Promise((resolve, reject) => http.get(url, resolve).on('error', reject)))
  }
  process.exit(0)`

let connections = 0
const server = createServer((_, response) => response.writeHead(404).end('x'.repeat(200_000)))
server.on('connection', () => connections++)
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

async function run(...preload: string[]): Promise<number> {
  connections = 0
  const args = [...preload, '--input-type=module', '--eval', program, url]
  await once(spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] }), 'close')
  return connections
}

console.log(`without: ${await run()} sockets for 40 answers`)
// In a program of your own: --import drained/register
const few = await run('--import', import.meta.resolve('../src/process/register.ts'))
console.log(`with: ${few <= 8 ? 'at most 8' : few} sockets for 40 answers`)
server.closeAllConnections()
server.close()
