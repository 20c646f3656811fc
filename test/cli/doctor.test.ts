/** `drained doctor` on real processes: what it counts is what is there, and what it says follows from it. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { CliError } from '../../src/cli/command.ts'
import { type Diagnosis, Doctor } from '../../src/cli/doctor/diagnosis.ts'
import type { Round } from '../../src/cli/doctor/round.ts'
import { parseTcp } from '../../src/cli/doctor/tcp.ts'
import { command, drained, gone, kept, main, patient, patientApart } from '../support/cli.ts'
import { isCI, needsTool } from '../support/tools.ts'
import { until } from '../support/until.ts'

/** Ended with the test: servers, and the sockets on this side. */
const open: { close(): unknown }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

async function listening(server: net.Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<net.Socket>()
  // The other side is a process that is killed.
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(resolve)
        for (const socket of sockets) socket.destroy()
      }),
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return (server.address() as AddressInfo).port
}

const large = (): http.Server => http.createServer((_, response) => response.end(Buffer.alloc(1 << 20)))
/** Says how long it keeps connections, and clients believe it: none is closed while somebody looks. */
const small = (): http.Server =>
  http.createServer({ keepAliveTimeout: 600_000 }, (_, response) => response.end('hello'))

async function diagnosed(pid: number): Promise<Diagnosis & { code: number }> {
  const { code, stdout, stderr } = await drained(['doctor', String(pid), '--json'])
  expect(stderr).toBe('')
  return { ...(JSON.parse(stdout) as Diagnosis), code }
}

/** State, bytes unread and remote endpoint of each socket of a process, as ss shows them. */
async function queuesOf(pid: number): Promise<string[][]> {
  const { stdout } = await command('ss', ['-Htanp'])
  return stdout
    .split('\n')
    .filter((line) => line.includes(`pid=${pid},`))
    .toSorted()
    .map((line) => line.split(/\s+/))
    .map(([state = '', queue = '', , , to = '']) => [state, queue, to])
}

/** What two looks agree on, and what was found between them: the kernel goes on taking what nobody reads. */
async function unmoved<T, F>(look: () => Promise<T>, find: () => Promise<F>): Promise<{ seen: T; found: F }> {
  for (let before = await look(); ;) {
    const found = await find()
    const seen = await look()
    if (isDeepStrictEqual(seen, before)) return { seen, found }
    before = seen
  }
}

/** Connections to a port of this machine in a state, of whomever. */
const inState = (port: number, wanted: string): number =>
  parseTcp(fs.readFileSync('/proc/net/tcp', 'utf8')).filter(
    ({ remote, state }) => remote.port === port && state === wanted,
  ).length

describe.runIf(needsTool('Linux'))('on Linux', () => {
  test('a program that reads no response is sick: all its sockets hold unread data', async () => {
    const port = await listening(large())
    const { pid } = await patient('leaky', '127.0.0.1', port, 20)
    const found = await diagnosed(pid)
    expect(found).toMatchObject({ code: 2, verdict: 'sick', listening: 0, process: { pid, isNode: true } })
    expect(found.peers).toMatchObject([
      {
        endpoint: `127.0.0.1:${port}`,
        direction: 'outgoing',
        sockets: 20,
        unread: 20,
        stuck: { unread: 20 },
      },
    ])
    expect(found.findings.map(({ rule, severity }) => `${rule} ${severity}`)).toEqual(['unread sick'])

    const { code, stdout } = await drained(['doctor', String(pid)])
    expect(code).toBe(2)
    expect(stdout).toMatch(/^node patient\.ts, process \d+: sick\n/)
    expect(stdout).toContain(`127.0.0.1:${port}: all 20 ESTABLISHED sockets hold data nobody reads`)
    expect(stdout).not.toContain('\u001b')
  })

  test('a program that reads its responses is healthy', async () => {
    const port = await listening(small())
    const { pid } = await patient('healthy', '127.0.0.1', port, 20)
    const found = await diagnosed(pid)
    expect(found).toMatchObject({ code: 0, verdict: 'healthy', findings: [], work: { looks: 1 } })
    expect(found.peers).toMatchObject([{ endpoint: `127.0.0.1:${port}`, unread: 0 }])
    expect(found.peers[0]?.states.ESTABLISHED).toBeLessThanOrEqual(2)
  })

  test('sockets the server has closed and the program has not are a pile of CLOSE_WAIT, and no unread data', async () => {
    const port = await listening(net.createServer((socket) => socket.end()))
    const { pid } = await patient('halfOpen', '127.0.0.1', port, 10)
    await until(() => inState(port, 'CLOSE_WAIT') === 10, 'ten sockets in CLOSE_WAIT')
    const found = await diagnosed(pid)
    expect(found).toMatchObject({ code: 1, verdict: 'warning', findings: [{ rule: 'close-wait' }] })
    expect(found.peers).toMatchObject([{ states: { CLOSE_WAIT: 10 }, stuck: { closeWait: 10 }, unread: 0 }])
  })

  test('connections nobody answers are found in SYN_SENT', async () => {
    const deaf = await patient('deaf')
    const { pid } = await patient('trying', '127.0.0.1', deaf.port, 12)
    await until(() => inState(deaf.port, 'SYN_SENT') >= 6, 'sockets in SYN_SENT')
    const found = await diagnosed(pid)
    expect(found).toMatchObject({
      code: 1,
      findings: [{ rule: 'syn-sent', endpoint: `127.0.0.1:${deaf.port}` }],
    })
  })

  test('a server that does not read its clients is told apart from a client', async () => {
    const server = await patient('server')
    for (let at = 0; at < 10; at++) {
      const socket = net.connect(server.port, '127.0.0.1', () => socket.write('x'.repeat(1 << 20)))
      socket.on('error', () => {})
      open.push({ close: () => new Promise((resolve) => socket.once('close', resolve).destroy()) })
    }
    await until(
      () =>
        parseTcp(fs.readFileSync('/proc/net/tcp', 'utf8')).filter(
          ({ local, unread }) => local.port === server.port && unread > 0,
        ).length === 10,
      'ten sockets with unread requests',
    )
    const found = await diagnosed(server.pid)
    expect(found.peers).toMatchObject([
      { direction: 'incoming', endpoint: `127.0.0.1:${server.port}`, unread: 10 },
    ])
    expect(found.findings[0]?.says).toMatch(
      /^Clients of 127\.0\.0\.1:\d+: all 10 .* requests .* not being read/,
    )
  })

  test.each([
    ['::1', '::1', '[::1]'],
    ['::ffff:127.0.0.1', '127.0.0.1', '127.0.0.1'],
  ])('IPv6: a connection to %s is shown', async (to, host, shown) => {
    const port = await listening(net.createServer(), host)
    const { pid } = await patient('idle', to, port, 3)
    const { peers } = await diagnosed(pid)
    expect(peers).toMatchObject([{ endpoint: `${shown}:${port}`, sockets: 3 }])
  })

  test.runIf(needsTool('python3'))(
    'a program that is not Node: unread data of a Python program',
    async () => {
      const port = await listening(net.createServer((socket) => socket.write(Buffer.alloc(10_000))))
      const script = `import socket, time
all = [socket.create_connection(('127.0.0.1', ${port})) for _ in range(9)]
print('ready', flush=True)
time.sleep(60)`
      const child = kept(spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] }))
      await new Promise((resolve) => child.stdout.once('data', resolve))
      const found = await diagnosed(child.pid ?? 0)
      expect(found).toMatchObject({ code: 2, process: { isNode: false } })
      expect(found.process.name).toMatch(/^python3/)
      expect(found.peers).toMatchObject([{ sockets: 9, unread: 9, unreadBytes: 90_000 }])
    },
  )

  test.runIf(needsTool('ss'))('its counts are those of ss, socket for socket', async () => {
    const port = await listening(large())
    const { pid } = await patient('leaky', '127.0.0.1', port, 15)
    const { seen: theirs, found } = await unmoved(
      () => queuesOf(pid),
      () => diagnosed(pid),
    )
    expect(theirs.map(([state]) => state)).toEqual(Array.from({ length: 15 }, () => 'ESTAB'))
    expect(new Set(theirs.map(([, , to]) => to))).toEqual(new Set([`127.0.0.1:${port}`]))
    expect(found.peers).toMatchObject([
      {
        endpoint: `127.0.0.1:${port}`,
        states: { ESTABLISHED: theirs.length },
        unreadBytes: theirs.reduce((sum, [, queue]) => sum + Number(queue), 0),
      },
    ])
  })

  test('5,000 sockets are counted in one look', async () => {
    const server = await patient('server')
    const { pid } = await patient('idle', '127.0.0.1', server.port, 5_000)
    const found = await diagnosed(pid)
    expect(found.peers).toMatchObject([{ sockets: 5_000, states: { ESTABLISHED: 5_000 } }])
    expect(found.findings).toMatchObject([{ rule: 'pool', severity: 'warning' }])
    expect(found.work.looks).toBe(1)
    expect(found.work.descriptors).toBeGreaterThan(5_000)
    expect(found.work.sockets).toBeGreaterThanOrEqual(10_000)
    console.log(`5,000 sockets: ${found.work.sockets} read in ${Math.round(found.work.ms)} ms`)
    // Around 100 ms on an idle machine.
    expect(found.work.ms).toBeLessThan(5_000)
  }, 60_000)

  test('without a pid it finds the process that stands out', async () => {
    const port = await listening(large())
    const sick = await patient('leaky', '127.0.0.1', port, 12)
    const { code, stdout } = await drained(['doctor', '--json'])
    expect(code).toBe(2)
    const { processes } = JSON.parse(stdout) as Round
    expect(processes.map((each) => each.process.pid)).not.toContain(process.ppid)
    expect(processes.find((each) => each.process.pid === sick.pid)).toMatchObject({ verdict: 'sick' })
    const text = await drained(['doctor'])
    expect(text.stdout).toMatch(new RegExp(`node patient.ts +${sick.pid} +12 +12 +12 .* sick`))
    expect(text.stdout).toContain(`node patient.ts, process ${sick.pid}\nsick     127.0.0.1:${port}`)
  }, 60_000)

  test('--watch looks again, and ends with --count, with Ctrl-C and with the process', async () => {
    const port = await listening(small())
    const { pid, child } = await patient('healthy', '127.0.0.1', port, 1)
    const counted = await drained(['doctor', String(pid), '--watch', '--count', '3', '--interval', '0.1'])
    expect(counted).toMatchObject({ code: 0, stderr: '' })
    expect(counted.stdout.trim().split('\n')).toHaveLength(3)
    expect(counted.stdout).toMatch(/ESTABLISHED [12] .* healthy +[▁-█]{3}\n$/)

    const args = [main, 'doctor', String(pid), '--watch', '--json', '--interval', '0.1']
    const stopped = kept(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] }))
    const errors: string[] = []
    stopped.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text))
    const line = await new Promise<Buffer>((resolve) => stopped.stdout.once('data', resolve))
    expect(JSON.parse(line.toString().split('\n')[0] ?? '')).toMatchObject({ verdict: 'healthy' })
    stopped.kill('SIGINT')
    const [code, signal] = await new Promise<unknown[]>((resolve) =>
      stopped.once('close', (...end) => resolve(end)),
    )
    expect([code, signal, errors.join('')]).toEqual([0, null, ''])

    const ending = drained(['doctor', String(pid), '--watch', '--interval', '0.1'])
    await gone(child)
    const { code: end, stderr } = await ending
    // The end may come before the first look.
    expect([`0 Process ${pid} has ended.\n`, `66 There is no process ${pid}\n`]).toContain(`${end} ${stderr}`)
  }, 60_000)

  test('--watch whose reader has had enough ends with the verdict of its last look', async () => {
    const port = await listening(large())
    const { pid } = await patient('leaky', '127.0.0.1', port, 20)
    const args = [main, 'doctor', String(pid), '--watch', '--interval', '0.1']
    const watching = kept(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }))
    watching.stdout.once('data', () => watching.stdout.destroy())
    expect(await new Promise((resolve) => watching.once('exit', resolve))).toBe(2)
  }, 60_000)

  test.runIf(needsTool('script'))('on a terminal there is colour, unless NO_COLOR is set', async () => {
    const port = await listening(small())
    const { pid } = await patient('healthy', '127.0.0.1', port, 1)
    const line = `"${process.execPath}" "${main}" doctor ${pid} --watch --count 2 --interval 0.1`
    const coloured = await command('script', ['-qec', line, '/dev/null'], { TERM: 'xterm' })
    expect(coloured.stdout).toContain('\u001b[32mhealthy\u001b[39m')
    expect(coloured.stdout.split('\u001b[H\u001b[2J')).toHaveLength(3)
    const plain = await command('script', ['-qec', line, '/dev/null'], { TERM: 'xterm', NO_COLOR: '1' })
    expect(plain.stdout).toContain('healthy')
    expect(plain.stdout).not.toContain('\u001b[3')
  })

  test('a process that is not there, and one that is not ours to see, have exit codes and messages of their own', async () => {
    expect(await drained(['doctor', '4194304'])).toEqual({
      code: 66,
      stdout: '',
      stderr: 'There is no process 4194304\n',
    })
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.(65_534)
    try {
      const refused = await Promise.resolve()
        .then(() => new Doctor(1).examine())
        .catch((error: unknown) => error as CliError)
      expect(refused).toMatchObject({ exitCode: 77 })
      expect((refused as CliError).message).toMatch(/^Process 1 \(.+\) may not be looked at: .* root/)
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  })

  /** As nobody, where the only other process is root's, and its number is 2; all ends with the command. */
  const asNobody = (hidepid: number, ...args: string[]) =>
    command('unshare', [
      '--mount',
      '--pid',
      '--fork',
      'sh',
      '-c',
      `sleep 60 >/dev/null 2>&1 & mount -t proc -o hidepid=${hidepid} proc /proc && exec "$@"`,
      'sh',
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      ...(args.length === 0 ? ['true'] : [process.execPath, main, ...args]),
    ])
  const whyNobody = async (hidepid: number): Promise<string | undefined> => {
    const { code, stderr } = await asNobody(hidepid)
    return code === 0 ? undefined : `it takes root, unshare, mount and setpriv: ${stderr}`
  }

  test.for<[number, RegExp]>([
    [0, /may be looked at has a TCP connection.*\n1 more may not be looked at/],
    [1, /may be looked at has a TCP connection.*\n1 more may not be looked at/],
    [2, /may be looked at has a TCP connection.*\nOther processes may be hidden: .* hidepid/],
  ])(
    'where /proc has hidepid=%i, processes of others are there and may not be looked at',
    async ([hidepid, says], { skip }) => {
      const why = await whyNobody(hidepid)
      skip(why !== undefined && !isCI, why)
      const one = await asNobody(hidepid, 'doctor', '2')
      expect(one).toMatchObject({ code: 77, stdout: '' })
      expect(one.stderr).toMatch(/^Process 2 .*may not be looked at: .* root/)
      expect(await asNobody(hidepid, 'doctor', '3333')).toMatchObject({
        code: 66,
        stderr: 'There is no process 3333\n',
      })
      // A check that has seen nothing has not found anything healthy.
      const all = await asNobody(hidepid, 'doctor')
      expect(all).toMatchObject({ code: 77, stderr: '' })
      expect(all.stdout).toMatch(says)
      const json = await asNobody(hidepid, 'doctor', '--json')
      expect(JSON.parse(json.stdout)).toMatchObject({ verdict: 'unknown', processes: [] })
    },
  )

  test.runIf(needsTool('root'))('a user may look at the processes of that user', async () => {
    const child = kept(spawn('sleep', ['60'], { uid: 65_534, gid: 65_534, stdio: 'ignore' }))
    process.setegid?.(65_534)
    process.seteuid?.(65_534)
    try {
      const found = await new Doctor(child.pid ?? 0).examine()
      expect(found).toMatchObject({ verdict: 'healthy', peers: [] })
    } finally {
      process.seteuid?.(0)
      process.setegid?.(0)
    }
  })

  test.runIf(needsTool('network namespaces'))(
    'a process in another network namespace is seen with its own sockets',
    async () => {
      const { pid, port } = await patientApart('ip link set lo up', 'self', 9)
      const found = await diagnosed(pid)
      expect(found).toMatchObject({ code: 2, isElsewhere: true, listening: 1 })
      expect(found.peers.find(({ direction }) => direction === 'outgoing')).toMatchObject({
        endpoint: `127.0.0.1:${port}`,
        sockets: 9,
        unread: 9,
      })
    },
  )

  test.runIf(needsTool('network namespaces'))(
    'a port range that one endpoint uses up is told before it ends',
    async () => {
      const few =
        'ip link set lo up && echo "40000 40099" >/proc/sys/net/ipv4/ip_local_port_range && echo 0 >/proc/sys/net/ipv4/tcp_tw_reuse'
      const { pid, port } = await patientApart(few, 'closing', 92)
      const inside = [
        '--net',
        '--target',
        String(pid),
        process.execPath,
        main,
        'doctor',
        String(pid),
        '--json',
      ]
      const { code, stdout } = await command('nsenter', inside)
      const found = JSON.parse(stdout) as Diagnosis
      expect(code).toBe(2)
      expect(found).toMatchObject({ isElsewhere: false, range: { first: 40_000, last: 40_099, size: 100 } })
      expect(found.peers.find(({ endpoint }) => endpoint === `127.0.0.1:${port}`)).toMatchObject({
        sockets: 1,
        timeWait: 92,
        ports: { from: '127.0.0.1', used: 93 },
      })
      expect(found.findings).toMatchObject([{ rule: 'ports', severity: 'sick', scope: 'namespace' }])
      expect(found.findings[0]?.says).toContain('93 of the 100 ports')
    },
  )
})
