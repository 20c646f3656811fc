/** Counts the TCP connections of this process, whatever client opens them, with TLS or without. */
import net from 'node:net'
import type { PortPair } from './task.ts'

export interface Counter {
  opened: number
  open: number
  /** Of connections nobody has asked for yet. */
  ports: PortPair[]
}

/** Node announces plain sockets on a diagnostics channel but not those of TLS; both pass `connect`. */
export function countSockets(): Counter {
  const counter: Counter = { opened: 0, open: 0, ports: [] }
  const { prototype } = net.Socket
  const connect = Reflect.get(prototype, 'connect') as (...args: unknown[]) => net.Socket
  prototype.connect = function (this: net.Socket, ...args: unknown[]): net.Socket {
    this.once('connect', () => {
      counter.opened++
      counter.open++
      if (this.localPort !== undefined && this.remotePort !== undefined)
        counter.ports.push([this.localPort, this.remotePort])
      this.once('close', () => counter.open--)
    })
    return connect.apply(this, args)
  }
  return counter
}
