/** One process examined: what it is, whom its sockets lead to, what is wrong. */
import { setTimeout as wait } from 'node:timers/promises'
import { type Peer, peersOf } from './peers.ts'
import { filesOf, gone, namespaceOf, portsHere, type Process, processOf, socketsAround } from './proc.ts'
import { lookEvery, looksNeeded, Stuck } from './stuck.ts'
import type { Socket } from './tcp.ts'
import type { PortRange } from './texts.ts'
import { type Finding, findingsOf, type Verdict, worst } from './verdict.ts'

export interface Diagnosis {
  readonly process: Process
  readonly verdict: Verdict
  readonly findings: readonly Finding[]
  /** About its network namespace, where it has no socket itself at the moment: not part of the verdict. */
  readonly around: readonly Finding[]
  /** Where its sockets lead. */
  readonly peers: readonly Peer[]
  readonly listening: number
  readonly files: { readonly used: number; readonly limit: number | undefined }
  readonly range: PortRange | undefined
  /** The process lives in another network namespace, whose settings cannot be seen: the range is that of here. */
  readonly isElsewhere: boolean
  /** What was done to find out. */
  readonly work: {
    readonly looks: number
    readonly descriptors: number
    readonly sockets: number
    readonly ms: number
  }
}

/** Reads the sockets of a process's network namespace. */
export type Tables = (pid: number) => readonly Socket[]

/** Examines one process, once or as often as is asked. */
export class Doctor {
  readonly process: Process
  readonly #ports = portsHere()
  readonly #isElsewhere: boolean
  readonly #stuck = new Stuck()
  readonly #tables: Tables

  /** @throws CliError if there is no such process, or it may not be looked at. */
  constructor(pid: number, tables: Tables = socketsAround) {
    this.#tables = tables
    this.process = processOf(pid)
    const there = namespaceOf(pid)
    this.#isElsewhere = there !== undefined && there !== namespaceOf('self')
  }

  /** Whether it has connections at all. */
  isConnected(): boolean {
    const { inodes } = filesOf(this.process)
    return (
      inodes.size > 0 &&
      this.#tables(this.process.pid).some(({ inode, state }) => state !== 'LISTEN' && inodes.has(inode))
    )
  }

  /**
   * Looks until it is sure of what it sees: once, or for 300 ms.
   * @throws CliError if the process has ended, or may not be looked at.
   */
  async examine(signal?: AbortSignal): Promise<Diagnosis> {
    let diagnosis = this.look()
    while (this.#stuck.isUnsure && diagnosis.work.looks < looksNeeded) {
      await wait(lookEvery, undefined, signal && { signal })
      diagnosis = this.look(diagnosis.work)
    }
    return diagnosis
  }

  /** One look. */
  look(before: Diagnosis['work'] = { looks: 0, descriptors: 0, sockets: 0, ms: 0 }): Diagnosis {
    const since = performance.now()
    const { pid } = this.process
    // Descriptors first: a socket that is opened in between belongs to nobody, and one that is closed is not seen.
    const files = filesOf(this.process)
    const around = this.#tables(pid)
    this.#stillThere()
    const sockets = around.filter(({ inode }) => files.inodes.has(inode))
    this.#stuck.look(sockets)
    const peers = peersOf(around, files.inodes, (socket: Socket) => this.#stuck.has(socket), this.#ports)
    const { range } = this.#ports
    const facts = { peers, files, portRange: range?.size, isNode: this.process.isNode }
    const all = findingsOf(facts)
    const own = peers.filter((peer) => peer.sockets > 0)
    const endpoints = new Set(own.map(({ endpoint }) => endpoint))
    const concerns = ({ scope, endpoint = '' }: Finding): boolean =>
      scope === 'process' || endpoints.has(endpoint)
    const findings = all.filter(concerns)
    return {
      process: this.process,
      verdict: worst(findings.map(({ severity }) => severity)),
      findings,
      around: all.filter((finding) => !concerns(finding)),
      peers: own,
      listening: sockets.filter(({ state }) => state === 'LISTEN').length,
      files: { used: files.used, limit: files.limit },
      range,
      isElsewhere: this.#isElsewhere,
      work: {
        looks: before.looks + 1,
        descriptors: before.descriptors + files.used,
        sockets: before.sockets + around.length,
        ms: before.ms + performance.now() - since,
      },
    }
  }

  /** The number may have been given to another process by now. */
  #stillThere(): void {
    const { pid, started } = this.process
    if (processOf(pid).started !== started) throw gone(pid)
  }
}
