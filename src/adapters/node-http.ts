/** Drop-in agents for node:http and node:https, and all that take one: no socket is held by a response nobody reads. */
import '../node-version.ts'
import http, { type ClientRequest } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type DrainedAgentOptions, resolveAgent } from '../options.ts'
import type { WireStats } from '../wire/stats.ts'
import { httpOptions, httpsOptions } from './node-http/node-options.ts'
import { type Target, Traffic } from './node-http/traffic.ts'

export { BodyReclaimedError, InvalidOptionError } from '../errors.ts'
export type { DrainedAgentOptions, DrainOptions } from '../options.ts'
export type { WireStats, OriginStats, Stats } from '../wire/stats.ts'

/** Missing in Node's types, though agents have always had it. */
type AddRequest = (this: http.Agent, request: ClientRequest, ...target: unknown[]) => void
const addRequest = (http.Agent.prototype as unknown as { addRequest: AddRequest }).addRequest

/**
 * An `http.Agent` whose sockets come back whatever becomes of the responses. Takes Node's own options, and `drain` and `name`.
 * Keeps connections alive, 128 per origin at the most (`maxSockets`), idle ones for 30 s (`timeout`) or as long as the server promises.
 * @throws InvalidOptionError naming the option, its value and what is accepted; unknown names are refused.
 */
export class DrainedAgent extends http.Agent {
  readonly #traffic: Traffic

  constructor(options: http.AgentOptions & DrainedAgentOptions = {}) {
    const { name, drain, node } = resolveAgent<http.AgentOptions>(options, httpOptions)
    super(node)
    this.#traffic = new Traffic(name, drain, this, node.timeout)
  }

  /** What is open, waiting, held and ended now: a copy, never updated. */
  stats(): WireStats {
    return this.#traffic.stats()
  }

  /** @internal Called by node:http for every request. */
  addRequest(request: ClientRequest, ...target: unknown[]): void {
    this.#traffic.add(request, 'http:', targetOf(target), () => addRequest.call(this, request, ...target))
  }

  override keepSocketAlive(socket: Duplex): boolean {
    return keepSocketAlive(this, super.keepSocketAlive(socket), socket as Socket, this.#traffic)
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    super.reuseSocket(socket, request)
    forgetIdle(this, socket as Socket)
  }

  /** Ends drains, and closes every socket now. The agent can still be used, as Node's can. */
  override destroy(): void {
    this.#traffic.stop()
    super.destroy()
  }
}

/** {@link DrainedAgent} for https. Takes the options of `https.Agent`, and `drain` and `name`. */
export class DrainedHttpsAgent extends https.Agent {
  readonly #traffic: Traffic

  /** @throws InvalidOptionError */
  constructor(options: https.AgentOptions & DrainedAgentOptions = {}) {
    const { name, drain, node } = resolveAgent<https.AgentOptions>(options, httpsOptions)
    super(node)
    this.#traffic = new Traffic(name, drain, this, node.timeout)
  }

  /** What is open, waiting, held and ended now: a copy, never updated. */
  stats(): WireStats {
    return this.#traffic.stats()
  }

  /** @internal Called by node:https for every request. */
  addRequest(request: ClientRequest, ...target: unknown[]): void {
    this.#traffic.add(request, 'https:', targetOf(target), () => addRequest.call(this, request, ...target))
  }

  override keepSocketAlive(socket: Duplex): boolean {
    return keepSocketAlive(this, super.keepSocketAlive(socket), socket as Socket, this.#traffic)
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    super.reuseSocket(socket, request)
    forgetIdle(this, socket as Socket)
  }

  /** Ends drains, and closes every socket now. The agent can still be used, as Node's can. */
  override destroy(): void {
    this.#traffic.stop()
    super.destroy()
  }
}

/** Options, or a host and a port as in the days of old. */
function targetOf([target, port]: unknown[]): Target {
  return typeof target === 'string' ? { host: target, port: port as number } : (target as Target)
}

/** Node says whether to keep it; false is all it says, true it leaves out in its types. */
function keepSocketAlive(agent: http.Agent, isKept: unknown, socket: Socket, traffic: Traffic): boolean {
  if (isKept === false) return false
  // Node's name for the safety margin before a server's promise ends.
  traffic.setIdle(
    socket,
    (agent as { agentKeepAliveTimeoutBuffer?: number }).agentKeepAliveTimeoutBuffer ?? 1000,
  )
  return true
}

/** The time limit of an idle connection is none for a request. */
function forgetIdle(agent: http.Agent, socket: Socket): void {
  socket.setTimeout((agent as unknown as { options: http.AgentOptions }).options.timeout ?? 0)
}
