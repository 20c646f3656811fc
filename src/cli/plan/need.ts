/** How many sockets and ports a load needs: the formulas of docs/ports.md. Pure arithmetic. */

/** One kind of call from one instance to one remote endpoint. */
export interface Load {
  /** Calls per second. */
  readonly rate: number
  /** Seconds from the start of a call to the end of its body. */
  readonly latency: number
  /** Share of calls, 0 to 1, whose response nobody reads or closes, and whose socket stays held. */
  readonly unread: number
  /** Share of calls, 0 to 1, whose connection is closed instead of used again. */
  readonly closed: number
  /** Seconds an unread response holds its socket, until the garbage collector or a time limit; Infinity: for ever. */
  readonly hold: number
  /** Most connections of the pool; Infinity: no limit. */
  readonly connections: number
}

export interface Need {
  /** Sockets that carry a call, on average (Little's law). */
  readonly inFlight: number
  /** The same in bursts of calls that come at random: three standard deviations more. */
  readonly burst: number
  /** Sockets held by responses nobody reads, at most what the pool allows; Infinity: ever more. */
  readonly held: number
  /** New connections a second. */
  readonly opened: number
  /** Ports of this machine in TIME_WAIT. */
  readonly timeWait: number
  /** Sockets open at once. */
  readonly sockets: number
  /** Ports taken at once on this machine. */
  readonly ports: number
  /** Seconds until the pool is full of unread responses and hangs; undefined: it does not. */
  readonly hangsAfter: number | undefined
  /** Calls per second the pool can carry, unread responses and all. */
  readonly capacity: number
}

/** Seconds a closed connection keeps its port: fixed in Linux (TCP_TIMEWAIT_LEN). */
export const timeWaitSeconds = 60

export function needOf({ rate, latency, unread, closed, hold, connections }: Load): Need {
  const inFlight = rate * latency
  // The number of calls at work is Poisson distributed, whatever their latencies: its variance is its mean.
  const burst = wholeFrom(inFlight + 3 * Math.sqrt(inFlight))
  const leaks = rate * unread
  const wanted = leaks === 0 ? 0 : leaks * hold
  const held = Math.min(wanted, connections)
  const sockets = Math.min(burst + held, connections)
  // An unread response costs its connection: as many are opened as are let go, or ever more.
  const lost = hold === Infinity ? (connections === Infinity ? leaks : 0) : held / hold
  const opened = rate * closed + lost
  // What is closed with data unread is reset, and leaves no TIME_WAIT.
  const timeWait = rate * closed * timeWaitSeconds
  const hangs = wanted >= connections && connections !== Infinity
  return {
    inFlight,
    burst,
    held,
    opened,
    timeWait,
    sockets,
    ports: sockets + timeWait,
    hangsAfter: hangs ? connections / leaks : undefined,
    // Without a limit of the pool there is none here either, however long an unread response stays.
    capacity:
      connections === Infinity ? Infinity : connections / (latency + (unread === 0 ? 0 : unread * hold)),
  }
}

/** Rounded up, but not for the sake of the sixteenth digit: 0.07 times 1,000 is 70 and not 71. */
export const wholeFrom = (value: number): number => Math.ceil(Number(value.toPrecision(12)))

/** A supply of ports towards one remote endpoint. */
export interface Supply {
  readonly name: string
  readonly ports: number
  /** Whether all instances share it. */
  readonly isShared: boolean
  /** Seconds a port stays taken after its connection is closed. */
  readonly keeps: number
}

/** Sources: docs/ports.md. */
export const supplies: readonly Supply[] = [
  { name: 'Linux, one local address', ports: 28_232, isShared: false, keeps: timeWaitSeconds },
  { name: 'Azure App Service, pre-allocated', ports: 128, isShared: false, keeps: 240 },
  { name: 'Azure Load Balancer, one public IP', ports: 64_000, isShared: true, keeps: timeWaitSeconds },
  { name: 'Azure NAT gateway, one public IP', ports: 50_000, isShared: true, keeps: timeWaitSeconds },
  { name: 'AWS NAT gateway, one address', ports: 55_000, isShared: true, keeps: timeWaitSeconds },
]

export interface Use {
  readonly supply: Supply
  /** Ports taken of it at once; Infinity: ever more. */
  readonly ports: number
  /** Of the supply: 1 is all of it. */
  readonly share: number
  /** Seconds until ever more unread responses have taken it all; undefined: they do not. */
  readonly goneAfter: number | undefined
}

/** What `instances` of this load take of one supply. */
export function useOf(supply: Supply, load: Load, instances: number): Use {
  const { sockets, held, burst } = needOf(load)
  const count = supply.isShared ? instances : 1
  const closing = load.rate * load.closed * supply.keeps
  const ports = wholeFrom((sockets + closing) * count)
  const left = Math.max(0, supply.ports - (burst + closing) * count)
  return {
    supply,
    ports,
    share: ports / supply.ports,
    goneAfter: held === Infinity ? left / (load.rate * load.unread * count) : undefined,
  }
}
