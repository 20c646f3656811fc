/** What both agents share: the origins they talk to, their exchanges, and how long their idle connections are kept. */
import { AsyncResource } from 'node:async_hooks'
import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Leaks } from '../../leaks.ts'
import { clientDefaults, queueDefaults, type ResolvedDrain } from '../../options.ts'
import type { Scope } from '../../wire/origin.ts'
import { Origins } from '../../wire/origins.ts'
import type { WireStats } from '../../wire/stats.ts'
import { Exchange } from './exchange.ts'

/** What of a request's options tells where it goes. */
export interface Target {
  readonly host?: string | null | undefined
  readonly port?: string | number | null | undefined
  readonly socketPath?: string | null | undefined
}

export class Traffic {
  readonly #origins: Origins
  readonly #limits: ResolvedDrain
  /** Milliseconds; undefined is ours, 0 is no limit. */
  readonly #idle: number

  constructor(name: string, limits: ResolvedDrain, agent: Agent, timeout: number | undefined) {
    const { warn } = queueDefaults
    // Where a request of node:http was made is not known, so that there is nothing to sample.
    const leaks = new Leaks(name, 'sample')
    const scope: Scope = {
      client: name,
      // As it is now: programs set `maxSockets` of an agent that is in use.
      get limit() {
        const most = Math.min(agent.maxSockets, agent.maxTotalSockets)
        return Number.isFinite(most) ? most : undefined
      },
      stall: limits.stall,
      warn,
      leaks,
      isAwaited: false,
      closing: false,
      error: undefined,
    }
    this.#origins = new Origins(scope)
    this.#limits = limits
    this.#idle = timeout ?? clientDefaults.keepAlive
  }

  /** Watches the request, and calls `send`, which gets it a socket, at once or as soon as one is free that is worth waiting for. */
  add(request: ClientRequest, protocol: string, target: Target, send: () => void): void {
    const origin = this.#origins.of(originName(protocol, target))
    void new Exchange(request, origin, this.#limits)
    if (origin.isWorthWaiting) origin.defer({ send: AsyncResource.bind(send) })
    else send()
  }

  stats(): WireStats {
    return this.#origins.stats()
  }

  /** Drains end. */
  stop(): void {
    for (const origin of this.#origins.all()) origin.stop()
  }

  /** A free connection is kept as long as its server has promised, and not longer than its agent likes. */
  setIdle(socket: Socket, buffer: number): void {
    const { res } = ((socket as { _httpMessage?: unknown })._httpMessage ?? {}) as { res?: IncomingMessage }
    const hint = /(?:^|[\s,])timeout=(\d+)/i.exec(String(res?.headers['keep-alive'] ?? ''))?.[1]
    const promised = hint === undefined ? Infinity : Math.max(Number(hint) * 1000 - buffer, 1)
    const idle = Math.min(this.#idle === 0 ? Infinity : this.#idle, promised)
    socket.setTimeout(Number.isFinite(idle) ? idle : 0)
  }
}

/** The port a protocol has anyway is not part of an origin's name. */
function originName(protocol: string, { host, port, socketPath }: Target): string {
  const authority = socketPath ?? `${host ?? 'localhost'}:${port ?? ''}`
  const usual = protocol === 'https:' ? ':443' : ':80'
  return `${protocol}//${authority.endsWith(usual) ? authority.slice(0, -usual.length) : authority}`
}
