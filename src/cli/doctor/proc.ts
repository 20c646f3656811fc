/** Reads what Linux tells of processes and their sockets in /proc. Only reads; needs the rights of the process's user, or root's. */
import fs from 'node:fs'
import { CliError, exitCodes } from '../command.ts'
import { parseTcp, type Socket } from './tcp.ts'
import {
  isNode,
  nameOf,
  parseFileLimit,
  parsePortRange,
  parseStat,
  type PortRange,
  socketInode,
} from './texts.ts'

export interface Process {
  readonly pid: number
  /** Program and script, never another argument. */
  readonly name: string
  readonly isNode: boolean
  /** Tells it from a later process of the same number. */
  readonly started: string
}

export interface Files {
  readonly used: number
  readonly limit: number | undefined
  /** Of its sockets, TCP or not. */
  readonly inodes: ReadonlySet<number>
}

export interface Ports {
  readonly range: PortRange | undefined
  /**
   * TIME_WAIT ports the kernel takes again after a second: "all", those of "loopback" (Linux's default), or "none".
   */
  readonly reuse: 'all' | 'loopback' | 'none'
}

const proc = '/proc'

/** @throws CliError if there is no such process, or it may not be looked at. */
export function processOf(pid: number): Process {
  const stat = parseStat(text(pid, 'stat'))
  if (stat === undefined) throw gone(pid)
  if (stat.state === 'Z')
    throw new CliError(
      `Process ${pid} (${stat.name}) has ended; its parent has not noticed yet`,
      exitCodes.noProcess,
    )
  const program = optional(() => fs.readlinkSync(`${proc}/${pid}/exe`)) ?? ''
  return {
    pid,
    name: nameOf(optional(() => text(pid, 'cmdline')) ?? '', stat.name),
    isNode: isNode(program),
    started: stat.started,
  }
}

/** @throws CliError if its files may not be seen, or it has ended. */
export function filesOf({ pid, name }: Process): Files {
  const inodes = new Set<number>()
  const folder = `${proc}/${pid}/fd`
  const names = permitted(pid, () => fs.readdirSync(folder), name)
  for (const fd of names) {
    const link = permitted(pid, () => closedOr(() => fs.readlinkSync(`${folder}/${fd}`)), name)
    const inode = link === undefined ? undefined : socketInode(link)
    if (inode !== undefined) inodes.add(inode)
  }
  return { used: names.length, limit: parseFileLimit(text(pid, 'limits')), inodes }
}

/** Threads of the kernel run none, and may not be looked at either. Where that may not be seen, it counts as one. */
export const hasProgram = (pid: number): boolean => optional(() => text(pid, 'cmdline')) !== ''

/** Every TCP socket of the network namespace of a process, whosoever it is. */
export function socketsAround(pid: number): Socket[] {
  // Without IPv6 there is no tcp6.
  return ['tcp', 'tcp6'].flatMap((table) => parseTcp(optional(() => text(pid, `net/${table}`)) ?? ''))
}

/** Names the network namespace of a process; undefined if it may not be seen. */
export function namespaceOf(pid: number | 'self'): string | undefined {
  return optional(() => fs.readlinkSync(`${proc}/${pid}/ns/net`))
}

/** Of the network namespace of this program: Linux shows no other. */
export function portsHere(): Ports {
  const setting = (name: string): string =>
    optional(() => fs.readFileSync(`${proc}/sys/net/ipv4/${name}`, 'utf8')) ?? ''
  const reuse = setting('tcp_tw_reuse').trim()
  return {
    range: parsePortRange(setting('ip_local_port_range'), setting('ip_local_reserved_ports')),
    reuse: reuse === '1' ? 'all' : reuse === '2' ? 'loopback' : 'none',
  }
}

/** Numbers of all processes that can be seen. */
export function allProcesses(): number[] {
  return fs
    .readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/**
 * Whether others may be there without being seen. Names in newer kernels, numbers in older ones; with "noaccess" (1) they are seen, and may
 * not be looked at. Root sees all.
 */
export function othersAreHidden(): boolean {
  const mounts = optional(() => fs.readFileSync(`${proc}/self/mounts`, 'utf8')) ?? ''
  const mount = mounts.split('\n').findLast((line) => line.split(' ')[1] === proc)
  const [, how] = /\bhidepid=(\w+)/.exec(mount ?? '') ?? []
  return how !== undefined && !/^(0|off|1|noaccess)$/.test(how) && process.geteuid?.() !== 0
}

const text = (pid: number, file: string): string =>
  permitted(pid, () => fs.readFileSync(`${proc}/${pid}/${file}`, 'utf8'))

/** @throws CliError if the process has ended, or may not be looked at. */
function permitted<T>(pid: number, look: () => T, name?: string): T {
  try {
    return look()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (isGone(error) && !isHidden(pid)) throw gone(pid)
    if (!isGone(error) && code !== 'EACCES' && code !== 'EPERM') throw error
    throw new CliError(
      `Process ${pid}${name === undefined ? '' : ` (${name})`} may not be looked at: it belongs to another user, or is protected. ` +
        'Run this as its user or as root (in a container, with CAP_SYS_PTRACE).',
      exitCodes.notPermitted,
    )
  }
}

/** Under hidepid=2 nothing tells of a process but that it could be sent a signal; one that has ended, and is not missed yet, has a folder. */
function isHidden(pid: number): boolean {
  if (fs.existsSync(`${proc}/${pid}`)) return false
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A descriptor may be closed while its folder is read. */
function closedOr<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

function optional<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

const isGone = (error: unknown): boolean =>
  /^(ENOENT|ESRCH)$/.test((error as NodeJS.ErrnoException).code ?? '')

/** The error of a process that is not there, or not any more. */
export const gone = (pid: number): CliError => new CliError(`There is no process ${pid}`, exitCodes.noProcess)
