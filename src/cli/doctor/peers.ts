/** The sockets of a process by whom they lead to, and the ports each remote endpoint uses up. Pure. */
import type { Ports } from './proc.ts'
import { isLoopback, show, type Socket, type State } from './tcp.ts'

/** Everything a process has to do with one remote endpoint, or with all clients of one port it listens on. */
export interface Peer {
  /** The remote endpoint; of clients, the endpoint they connected to. */
  readonly endpoint: string
  readonly direction: 'outgoing' | 'incoming'
  /** Sockets of the process. */
  readonly sockets: number
  readonly states: Readonly<Partial<Record<State, number>>>
  /** ESTABLISHED with data that was not read when it was looked at. */
  readonly unread: number
  readonly unreadBytes: number
  /** Sockets that have not moved for several looks. */
  readonly stuck: {
    readonly unread: number
    readonly unreadBytes: number
    readonly closeWait: number
    readonly synSent: number
  }
  /** Of the whole network namespace: no process owns them any more. */
  readonly timeWait: number
  /** Outgoing only: ephemeral ports of one local address, of any process, which new connections to the endpoint cannot have. */
  readonly ports: { readonly from: string; readonly used: number } | undefined
}

interface Draft {
  endpoint: string
  direction: 'outgoing' | 'incoming'
  sockets: number
  states: Partial<Record<State, number>>
  unread: number
  unreadBytes: number
  stuck: { unread: number; unreadBytes: number; closeWait: number; synSent: number }
  timeWait: number
  /** Ports used, by local address. */
  used: Map<string, Set<number>>
}

/** Those with the most sockets first. */
export function peersOf(
  around: readonly Socket[],
  inodes: ReadonlySet<number>,
  isStuck: (socket: Socket) => boolean,
  { range, reuse }: Ports,
): Peer[] {
  const listening = new Set(around.filter(({ state }) => state === 'LISTEN').map(({ local }) => show(local)))
  const drafts = new Map<string, Draft>()

  for (const socket of around) {
    const { local, remote, state } = socket
    if (state === 'LISTEN') continue
    const isIncoming = listening.has(show(local)) || listening.has(`*:${local.port}`)
    const peer = draft(drafts, isIncoming ? 'incoming' : 'outgoing', show(isIncoming ? local : remote))
    if (inodes.has(socket.inode)) count(peer, socket, isStuck(socket))
    const mayBeTaken = reuse === 'all' || (reuse === 'loopback' && isLoopback(remote))
    if (state === 'TIME_WAIT') peer.timeWait++
    if (isIncoming || (state === 'TIME_WAIT' && mayBeTaken)) continue
    if (range === undefined || local.port < range.first || local.port > range.last) continue
    const used = peer.used.get(local.address)
    if (used === undefined) peer.used.set(local.address, new Set([local.port]))
    else used.add(local.port)
  }

  return [...drafts.values()]
    .filter(({ sockets, timeWait, used }) => sockets > 0 || timeWait > 0 || used.size > 0)
    .map(finished)
    .sort((a, b) => b.sockets - a.sockets || b.timeWait - a.timeWait)
}

function draft(drafts: Map<string, Draft>, direction: Peer['direction'], endpoint: string): Draft {
  const key = `${direction} ${endpoint}`
  let peer = drafts.get(key)
  if (peer === undefined) {
    const stuck = { unread: 0, unreadBytes: 0, closeWait: 0, synSent: 0 }
    const empty = { sockets: 0, states: {}, unread: 0, unreadBytes: 0, stuck, timeWait: 0, used: new Map() }
    drafts.set(key, (peer = { endpoint, direction, ...empty }))
  }
  return peer
}

function count(peer: Draft, { state, unread }: Socket, isStuck: boolean): void {
  peer.sockets++
  peer.states[state] = (peer.states[state] ?? 0) + 1
  if (state === 'ESTABLISHED' && unread > 0) {
    peer.unread++
    peer.unreadBytes += unread
  }
  if (!isStuck) return
  if (state === 'ESTABLISHED') {
    peer.stuck.unread++
    peer.stuck.unreadBytes += unread
  }
  if (state === 'CLOSE_WAIT') peer.stuck.closeWait++
  if (state === 'SYN_SENT') peer.stuck.synSent++
}

function finished({ used, ...peer }: Draft): Peer {
  const [most] = [...used].sort(([, a], [, b]) => b.size - a.size)
  return { ...peer, ports: most && { from: most[0], used: most[1].size } }
}
