/** The kernel's table of TCP sockets, as /proc/net/tcp and tcp6 show it, to plain data. Pure; lines it does not know are left out. */
import os from 'node:os'

/** By the number the kernel writes, from 1 on. The last one is a half-open connection, too. */
const byNumber = [
  undefined,
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
  'SYN_RECV',
] as const

export type State = Exclude<(typeof byNumber)[number], undefined>

export interface Endpoint {
  /** IPv4 as 127.0.0.1, also where it is mapped into IPv6; IPv6 as ::1; "*" for any. */
  readonly address: string
  readonly port: number
}

export interface Socket {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly state: State
  /** Bytes received that the process has not read. */
  readonly unread: number
  /** What ties it to a file descriptor; 0: it belongs to no process any more, or not yet. */
  readonly inode: number
}

const line =
  /^ *\d+: ([\dA-F]{8,32}):([\dA-F]{4}) ([\dA-F]{8,32}):([\dA-F]{4}) ([\dA-F]{2}) [\dA-F]+:([\dA-F]+) \S+ +\S+ +\d+ +\d+ +(\d+)/

/** The text of /proc/net/tcp or tcp6: addresses are in the byte order of the machine. */
export function parseTcp(text: string, endianness: 'BE' | 'LE' = os.endianness()): Socket[] {
  const known = new Map<string, string>()
  const sockets: Socket[] = []

  function addressOf(hex: string): string {
    let address = known.get(hex)
    if (address === undefined) known.set(hex, (address = parseAddress(hex, endianness)))
    return address
  }

  for (const each of text.split('\n')) {
    const [, local, localPort, remote, remotePort, number = '', queue = '', inode] = line.exec(each) ?? []
    const state = byNumber[Number.parseInt(number, 16)]
    if (local === undefined || localPort === undefined || remote === undefined || remotePort === undefined)
      continue
    if (state === undefined) continue
    sockets.push({
      local: { address: addressOf(local), port: Number.parseInt(localPort, 16) },
      remote: { address: addressOf(remote), port: Number.parseInt(remotePort, 16) },
      state,
      unread: unreadOf(state, Number.parseInt(queue, 16)),
      inode: Number(inode),
    })
  }
  return sockets
}

/** The queue of a listening socket holds connections; an end that was received and not yet read counts as one byte. */
function unreadOf(state: State, queue: number): number {
  if (state === 'LISTEN') return 0
  return state === 'CLOSE_WAIT' || state === 'LAST_ACK' || state === 'CLOSING'
    ? Math.max(0, queue - 1)
    : queue
}

/** Words of 32 bits in hexadecimal: one for IPv4, four for IPv6. */
function parseAddress(hex: string, endianness: 'BE' | 'LE'): string {
  const bytes = Buffer.from(hex, 'hex')
  if (endianness === 'LE') bytes.swap32()
  if (bytes.every((byte) => byte === 0)) return '*'
  if (bytes.length === 4) return bytes.join('.')
  const isMapped = bytes.subarray(0, 12).equals(mapped)
  if (isMapped) return bytes.subarray(12).every((byte) => byte === 0) ? '*' : bytes.subarray(12).join('.')
  // The parser of URLs writes the shortest form.
  return new URL(`http://[${bytes.toString('hex').replace(/(.{4})(?=.)/g, '$1:')}]`).hostname.slice(1, -1)
}

const mapped = Buffer.from('00000000000000000000ffff', 'hex')

/** 127.0.0.1:80, [::1]:80, *:80 */
export const show = ({ address, port }: Endpoint): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

export const isLoopback = ({ address }: Endpoint): boolean => address.startsWith('127.') || address === '::1'
