/** The servers of these tests: they end with whoever started them, and say why when they do not start. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type Kind,
  needs,
  nginx,
  reverseProxies,
  type Server,
  squid,
  start,
} from '../support/servers/index.ts'
import { until } from '../support/until.ts'

async function isListening(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1')
  const answer = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return answer
}

for (const [name, kind] of Object.entries({ ...reverseProxies, squid })) {
  test.runIf(needs(kind))(
    `${name} answers on ports of its own, and is gone when it is disposed of`,
    async () => {
      let server: Server
      {
        await using one = await start(kind, { backend: 1 })
        await using other = await start(kind, { backend: 1 })
        server = one
        expect(one.port).not.toBe(other.port)
        expect(await isListening(one.port)).toBe(true)
      }
      expect(await isListening(server.port)).toBe(false)
    },
  )
}

describe.runIf(needs(nginx))('nginx', () => {
  test('it ends with the process that started it, even when that is killed', async () => {
    // A process that is killed leaves its files.
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'drained-start-'))
    const child = fork(path.join(import.meta.dirname, '../support/servers/starter.ts'), {
      env: { ...process.env, TMPDIR: scratch },
    })
    const [{ pids, port }] = (await once(child, 'message')) as [{ pids: number[]; port: number }]
    const alive = (): number[] => pids.filter((pid) => fs.existsSync(`/proc/${pid}`))
    expect(alive()).toEqual(pids)
    child.kill('SIGKILL')
    await until(() => alive().length === 0, 'shell, master and worker are gone')
    expect(await isListening(port)).toBe(false)
    fs.rmSync(scratch, { recursive: true })
  })

  test('its log is shown when it does not start', async () => {
    const broken: Kind = { ...nginx, config: () => 'no_such_directive;' }
    await expect(start(broken)).rejects.toThrow(/nginx did not start: it ended with 1[^]*no_such_directive/)
  })
})

test('a server that is not installed is named', async () => {
  const missing: Kind = { ...nginx, command: 'no-such-server' }
  await expect(start(missing)).rejects.toThrow('no-such-server is not installed')
})

test('what is not installed is skipped, but not in CI', () => {
  const missing: Kind = { ...nginx, command: 'no-such-server' }
  const before = process.env['CI']
  try {
    delete process.env['CI']
    expect(needs(missing)).toBe(false)
    process.env['CI'] = 'true'
    expect(needs(missing)).toBe(true)
  } finally {
    if (before === undefined) delete process.env['CI']
    else process.env['CI'] = before
  }
})
