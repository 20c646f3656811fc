/** The pure parts of `drained doctor`: the texts of /proc, the looks, the rules. */
import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Peer, peersOf } from '../../src/cli/doctor/peers.ts'
import { looksNeeded, Stuck } from '../../src/cli/doctor/stuck.ts'
import { parseTcp, show, type Socket } from '../../src/cli/doctor/tcp.ts'
import {
  isNode,
  nameOf,
  parseFileLimit,
  parsePortRange,
  parseStat,
  socketInode,
} from '../../src/cli/doctor/texts.ts'
import { bytes, findingsOf, rules, worst } from '../../src/cli/doctor/verdict.ts'
import { sparkline, table, wrap } from '../../src/cli/text.ts'

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const row = (local: string, remote: string, state: string, queue = 0, inode = 7): string =>
  `  12: ${local} ${remote} ${state} 00000000:${queue.toString(16).padStart(8, '0').toUpperCase()} 00:00000000 00000000     0        0 ${inode} 1 000000002ac7 20 4 30 10 -1\n`

const hex = (value: number, width: number): string => value.toString(16).padStart(width, '0').toUpperCase()

describe('the table of sockets', () => {
  test('is read as the kernel writes it', () => {
    const text =
      head +
      row('0100007F:A1B2', '0100007F:1F90', '01', 0x17d0, 1581181) +
      row('00000000:07E8', '00000000:0000', '0A', 3) +
      row('00000000000000000000000001000000:C350', '00000000000000000000000001000000:0050', '08', 1) +
      row('0000000000000000FFFF00000100007F:C351', '0000000000000000FFFF00000100007F:0050', '08', 11) +
      row('B80D01200000000000000000010000FF:C351', 'B80D01200000000000000000010000FF:01BB', '06', 0, 0)
    const sockets = parseTcp(text, 'LE')
    expect(
      sockets.map(({ local, remote, state, unread }) => `${show(local)} ${show(remote)} ${state} ${unread}`),
    ).toEqual([
      '127.0.0.1:41394 127.0.0.1:8080 ESTABLISHED 6096',
      // The queue of a listening socket holds connections; the end of a stream counts as a byte.
      '*:2024 *:0 LISTEN 0',
      '[::1]:50000 [::1]:80 CLOSE_WAIT 0',
      '127.0.0.1:50001 127.0.0.1:80 CLOSE_WAIT 10',
      '[2001:db8::ff00:1]:50001 [2001:db8::ff00:1]:443 TIME_WAIT 0',
    ])
    expect(sockets[0]?.inode).toBe(1581181)
  })

  test('every address, port, state and queue comes back, in either byte order', () => {
    const v4 = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 })
    const port = fc.nat(65_535)
    fc.assert(
      fc.property(
        v4,
        v4,
        port,
        port,
        fc.integer({ min: 1, max: 11 }),
        fc.nat(),
        fc.boolean(),
        (a, b, p, q, n, queue, big) => {
          const word = (parts: readonly number[]): string =>
            (big ? parts : parts.toReversed()).map((part) => hex(part, 2)).join('')
          const line = row(`${word(a)}:${hex(p, 4)}`, `${word(b)}:${hex(q, 4)}`, hex(n, 2), queue, 42)
          const [socket, ...more] = parseTcp(head + line, big ? 'BE' : 'LE')
          expect(more).toEqual([])
          expect(socket).toMatchObject({ local: { port: p }, remote: { port: q }, inode: 42 })
          expect(socket?.remote.address).toBe(b.every((part) => part === 0) ? '*' : b.join('.'))
        },
      ),
    )
  })

  test('IPv6 is written in its shortest form, as the parser of URLs reads it back', () => {
    const v6 = fc
      .array(fc.nat(0xffff), { minLength: 8, maxLength: 8 })
      .filter((parts) => parts.some((part) => part > 0))
    fc.assert(
      fc.property(v6, (parts) => {
        const network = parts.map((part) => hex(part, 4)).join('')
        const kernel = network.replace(/(..)(..)(..)(..)/g, '$4$3$2$1')
        const [socket] = parseTcp(head + row(`${kernel}:0001`, `${kernel}:0050`, '01'), 'LE')
        const address = socket?.remote.address ?? ''
        if (!address.includes(':')) return
        expect(address).toBe(
          new URL(`http://[${parts.map((part) => hex(part, 4)).join(':')}]`).hostname.slice(1, -1),
        )
      }),
    )
  })

  test('no text makes it fail', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseTcp(text)))
    expect(parseTcp('')).toEqual([])
    expect(parseTcp(head + row('0100007F:1', '0100007F:0050', '01'))).toEqual([])
    expect(parseTcp(head + row('0100007F:0001', '0100007F:0050', '0F'))).toEqual([])
  })
})

describe('small texts', () => {
  test('the port range is without its reserved ports', () => {
    expect(parsePortRange('32768\t60999\n')).toEqual({ first: 32_768, last: 60_999, size: 28_232 })
    expect(parsePortRange('100\t199\n', '80,150,160-169,190-300\n')?.size).toBe(100 - 1 - 10 - 10)
    expect(parsePortRange('nonsense')).toBeUndefined()
  })

  test('a limit may be unlimited', () => {
    expect(
      parseFileLimit('Max open files            1024                 4096                 files     \n'),
    ).toBe(1024)
    expect(
      parseFileLimit('Max open files            unlimited            unlimited            files     \n'),
    ).toBe(Infinity)
    expect(parseFileLimit('')).toBeUndefined()
  })

  test('a process may have any name', () => {
    const rest = `S ${Array.from({ length: 18 }, (_, at) => at).join(' ')} 777 0 0`
    expect(parseStat(`12 (a) b (c)) ${rest}`)).toEqual({ name: 'a) b (c)', state: 'S', started: '777' })
    expect(parseStat(`12 (a\u001b[31m) ${rest}`)?.name).toBe('a?[31m')
    expect(parseStat('')).toBeUndefined()
  })

  test('of the arguments only program and script are shown', () => {
    expect(
      nameOf('/usr/bin/node\0--import\0drained/register\0/srv/app/server.mjs\0--password=hunter2\0', 'x'),
    ).toBe('node server.mjs')
    expect(nameOf('node\0--require\0/x/hook.cjs\0app.ts\0', 'x')).toBe('node app.ts')
    expect(nameOf('curl\0https://user:secret@host/script.js\0', 'x')).toBe('curl')
    expect(nameOf('postgres: user secretdb 10.0.0.1\0', 'x')).toBe('postgres:')
    expect(nameOf('', 'kworker/0:1')).toBe('kworker/0:1')
  })

  test('a program is Node by its path, also once that has been replaced', () => {
    const paths = [
      '/usr/bin/node',
      '/opt/node22',
      '/usr/bin/node (deleted)',
      '/usr/bin/nodemon',
      '',
      '/node (deleted)/x',
    ]
    expect(paths.map(isNode)).toEqual([true, true, true, false, false, false])
  })

  test('only links to sockets are sockets', () => {
    expect([socketInode('socket:[123]'), socketInode('/tmp/socket:[1]'), socketInode('pipe:[4]')]).toEqual([
      123,
      undefined,
      undefined,
    ])
  })
})

describe('looks', () => {
  const socket = (unread: number, state: Socket['state'] = 'ESTABLISHED', inode = 1): Socket => ({
    local: { address: '10.0.0.1', port: 40_000 },
    remote: { address: '10.0.0.2', port: 443 },
    state,
    unread,
    inode,
  })

  test('a socket is stuck after four looks at which nothing was read', () => {
    const queues = fc.array(fc.nat(9), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(queues, (unread) => {
        const stuck = new Stuck()
        for (const each of unread) stuck.look([socket(each)])
        const last = unread.slice(-looksNeeded)
        const grows = last.every((each, at) => each > 0 && (at === 0 || each >= (last[at - 1] ?? 0)))
        expect(stuck.has(socket(0))).toBe(unread.length >= looksNeeded && grows)
        expect(stuck.isUnsure).toBe((unread.at(-1) ?? 0) > 0)
      }),
    )
  })

  test('another socket, or another state, starts anew', () => {
    const stuck = new Stuck()
    for (let look = 0; look < looksNeeded; look++) stuck.look([socket(5, 'ESTABLISHED', look)])
    expect(stuck.has(socket(5, 'ESTABLISHED', looksNeeded - 1))).toBe(false)
    for (let look = 0; look < looksNeeded - 1; look++) stuck.look([socket(0, 'CLOSE_WAIT')])
    expect(stuck.has(socket(0))).toBe(false)
    stuck.look([socket(0, 'CLOSE_WAIT')])
    expect(stuck.has(socket(0))).toBe(true)
  })

  test('bytes nobody reads are those of sockets that are stuck, and not of those that are read', () => {
    const all = Array.from({ length: 9 }, (_, at) => socket(at < 4 ? 10 : 1_000_000, 'ESTABLISHED', at + 1))
    const stuck = ({ inode }: Socket): boolean => inode <= 4
    const ports = { range: undefined, reuse: 'none' } as const
    const peers = peersOf(all, new Set(all.map(({ inode }) => inode)), stuck, ports)
    expect(peers).toMatchObject([{ unreadBytes: 5_000_040, stuck: { unread: 4, unreadBytes: 40 } }])
    const files = { used: 1, limit: undefined }
    expect(findingsOf({ peers, files, portRange: undefined, isNode: true })[0]?.says).toContain(
      '4 of 9 ESTABLISHED sockets hold data nobody reads (40 B)',
    )
  })

  test('TIME_WAIT takes a port, unless the kernel takes it again', () => {
    const range = { first: 32_768, last: 60_999, size: 28_232 }
    const waiting = [
      socket(0, 'TIME_WAIT', 0),
      { ...socket(0), local: { address: '10.0.0.1', port: 40_001 } },
    ]
    const used = (reuse: 'all' | 'loopback' | 'none', all = waiting): number | undefined =>
      peersOf(all, new Set([1]), () => false, { range, reuse })[0]?.ports?.used
    const local = waiting.map((each) => ({ ...each, remote: { address: '127.0.0.1', port: 80 } }))
    expect([used('none'), used('loopback'), used('all'), used('loopback', local)]).toEqual([2, 2, 1, 1])
  })
})

describe('rules', () => {
  const peer = (more: Partial<Peer> = {}): Peer => ({
    endpoint: '10.0.0.2:443',
    direction: 'outgoing',
    sockets: 1,
    states: { ESTABLISHED: 1 },
    unread: 0,
    unreadBytes: 0,
    stuck: { unread: 0, unreadBytes: 0, closeWait: 0, synSent: 0 },
    timeWait: 0,
    ports: undefined,
    ...more,
  })
  const said = (more: Partial<Peer>, files = { used: 20, limit: 1_000 }): string[] =>
    findingsOf({ peers: [peer(more)], files, portRange: 1_000, isNode: true }).map(
      ({ rule, severity }) => `${rule} ${severity}`,
    )
  const stuck = (more: Partial<Peer['stuck']>): Peer['stuck'] => ({
    unread: 0,
    unreadBytes: 0,
    closeWait: 0,
    synSent: 0,
    ...more,
  })

  test.each<[string, Partial<Peer>, string[]]>([
    ['one idle socket', {}, []],
    ['three slow downloads of a hundred', { states: { ESTABLISHED: 100 }, stuck: stuck({ unread: 3 }) }, []],
    [
      'four unread of a hundred',
      { states: { ESTABLISHED: 100 }, stuck: stuck({ unread: 4 }) },
      ['unread warning'],
    ],
    [
      'a whole pool of eight unread',
      { states: { ESTABLISHED: 8 }, stuck: stuck({ unread: 8 }) },
      ['unread sick'],
    ],
    ['eight of nine unread', { states: { ESTABLISHED: 9 }, stuck: stuck({ unread: 8 }) }, ['unread warning']],
    [
      '32 of a hundred unread',
      { states: { ESTABLISHED: 100 }, stuck: stuck({ unread: 32 }) },
      ['unread sick'],
    ],
    ['three in CLOSE_WAIT', { stuck: stuck({ closeWait: 3 }) }, []],
    ['64 in CLOSE_WAIT', { stuck: stuck({ closeWait: 64 }) }, ['close-wait sick']],
    ['32 in SYN_SENT', { stuck: stuck({ synSent: 32 }) }, ['syn-sent sick']],
    ['999 in TIME_WAIT', { timeWait: 999 }, []],
    ['1000 in TIME_WAIT', { timeWait: 1_000 }, ['time-wait warning']],
    ['1000 clients in TIME_WAIT', { timeWait: 1_000, direction: 'incoming' }, []],
    ['half of the ports', { ports: { from: '10.0.0.1', used: 500 } }, ['ports warning']],
    ['nine tenths of the ports', { ports: { from: '10.0.0.1', used: 900 } }, ['ports sick']],
    ['512 established', { states: { ESTABLISHED: 512 } }, ['pool warning']],
    ['512 clients', { states: { ESTABLISHED: 512 }, direction: 'incoming' }, []],
  ])('%s', (_, more, expected) => {
    expect(said(more)).toEqual(expected)
  })

  test('files near their limit', () => {
    expect(said({}, { used: 799, limit: 1_000 })).toEqual([])
    expect(said({}, { used: 800, limit: 1_000 })).toEqual(['files warning'])
    expect(said({}, { used: 950, limit: 1_000 })).toEqual(['files sick'])
    expect(said({}, { used: 950, limit: Infinity })).toEqual([])
  })

  test('worse numbers never give a better verdict, and every finding names what it is about', () => {
    const order = ['healthy', 'warning', 'sick']
    const numbers = fc.record({
      unread: fc.nat(100),
      closeWait: fc.nat(100),
      synSent: fc.nat(100),
      timeWait: fc.nat(3_000),
      used: fc.nat(1_000),
    })
    fc.assert(
      fc.property(numbers, fc.nat(50), ({ unread, closeWait, synSent, timeWait, used }, extra) => {
        const verdict = (more: number): string => {
          const findings = findingsOf({
            peers: [
              peer({
                states: { ESTABLISHED: 200 },
                stuck: {
                  unread: unread + more,
                  unreadBytes: 9,
                  closeWait: closeWait + more,
                  synSent: synSent + more,
                },
                timeWait: timeWait + more,
                ports: { from: '10.0.0.1', used: used + more },
              }),
            ],
            files: { used: 1, limit: undefined },
            portRange: 1_000,
            isNode: false,
          })
          for (const { says, todo } of findings) {
            expect(says).toContain('10.0.0.2:443')
            expect(todo).not.toBe('')
          }
          return worst(findings.map(({ severity }) => severity))
        }
        expect(order.indexOf(verdict(extra))).toBeGreaterThanOrEqual(order.indexOf(verdict(0)))
      }),
    )
  })

  test('docs/doctor.md has every rule with its limits and its reason', () => {
    const page = fs.readFileSync(path.join(import.meta.dirname, '../../docs/doctor.md'), 'utf8')
    const rows = new Map(
      [...page.matchAll(/^\| `([\w-]+)` +\| ([\d,]+).*?\| (.*?) +\| (.*?) +\|$/gm)].map(
        ([, name, warning, sick, reason]) => [
          name,
          { warning: Number(warning?.replace(',', '')), sick, reason },
        ],
      ),
    )
    for (const [name, { warning, sick, reason }] of Object.entries(rules)) {
      expect(rows.get(name), name).toMatchObject({ warning, reason })
      expect(rows.get(name)?.sick, name).toContain(sick === Infinity ? 'never' : String(sick))
    }
  })
})

describe('text', () => {
  test('columns are aligned, lines are wrapped, sparklines start at zero', () => {
    expect(
      table([
        ['a', 'bb'],
        ['ccc', 'd'],
      ]),
    ).toEqual(['a    bb', 'ccc   d'])
    expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
    expect(sparkline([0, 5, 10])).toBe('▁▅█')
    expect(sparkline([0, 0])).toBe('▁▁')
    expect(bytes(7_617_500)).toBe('7.3 MiB')
  })

  test('wrapping loses no word', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^\S{1,12}$/), { minLength: 1 }),
        fc.integer({ min: 12, max: 80 }),
        (words, width) => {
          const lines = wrap(words.join(' '), width)
          expect(lines.join(' ')).toBe(words.join(' '))
          for (const line of lines) expect(line.length).toBeLessThanOrEqual(width)
        },
      ),
    )
  })
})
