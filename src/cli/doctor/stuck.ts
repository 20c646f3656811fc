/** Tells sockets that do not move from those caught in the middle of their work, by looking more than once. Pure. */
import type { Socket } from './tcp.ts'

/**
 * Looks in a row after which a socket counts as stuck. A reader that keeps up leaves less behind at every second look or so;
 * that it never does in four is one in eight, and a verdict needs several such sockets at once.
 */
export const looksNeeded = 4

/** Milliseconds between the looks that decide; together they outlast a connection across the world. */
export const lookEvery = 100

interface Sight {
  readonly state: string
  readonly unread: number
  readonly looks: number
}

export class Stuck {
  #sights = new Map<number, Sight>()

  /** Takes one look at all sockets of the process. */
  look(sockets: readonly Socket[]): void {
    const before = this.#sights
    this.#sights = new Map()
    for (const { inode, state, unread } of sockets) {
      if (!isSuspect(state, unread)) continue
      const last = before.get(inode)
      const stays = last !== undefined && last.state === state && unread >= last.unread
      this.#sights.set(inode, { state, unread, looks: stays ? last.looks + 1 : 1 })
    }
  }

  /** Whether further looks can tell anything. */
  get isUnsure(): boolean {
    return this.#sights.size > 0
  }

  /** Whether the socket has been as it is, or worse, at each of the last looks. */
  has({ inode }: Socket): boolean {
    return (this.#sights.get(inode)?.looks ?? 0) >= looksNeeded
  }
}

function isSuspect(state: string, unread: number): boolean {
  return (state === 'ESTABLISHED' && unread > 0) || state === 'CLOSE_WAIT' || state === 'SYN_SENT'
}
