/** Small texts of /proc to plain data. Pure; what is not understood is undefined. */
import path from 'node:path'

/** Ports the kernel takes for outgoing connections. */
export interface PortRange {
  readonly first: number
  readonly last: number
  /** Ports it may take: without the reserved ones. */
  readonly size: number
}

/** From ip_local_port_range and ip_local_reserved_ports, such as "32768\t60999" and "8080,9000-9100". */
export function parsePortRange(range: string, reserved = ''): PortRange | undefined {
  const [, from, to] = /^(\d+)\s+(\d+)\s*$/.exec(range) ?? []
  const [first, last] = [Number(from), Number(to)]
  if (from === undefined || !(first <= last)) return undefined
  const taken = new Set<number>()
  for (const [, low, high = low] of reserved.matchAll(/(\d+)(?:-(\d+))?/g))
    for (let port = Math.max(first, Number(low)); port <= Math.min(last, Number(high)); port++)
      taken.add(port)
  return { first, last, size: last - first + 1 - taken.size }
}

/** The soft limit of open files, from /proc/PID/limits. */
export function parseFileLimit(limits: string): number | undefined {
  const [, soft] = /^Max open files +(\d+|unlimited) /m.exec(limits) ?? []
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Infinity : Number(soft)
}

/** What /proc/PID/stat tells: a name in parentheses may hold anything, even parentheses. */
export function parseStat(
  stat: string,
): { readonly name: string; readonly state: string; readonly started: string } | undefined {
  const [, name, rest = ''] = /^\d+ \(([^]*)\) ([^)]*)$/.exec(stat) ?? []
  const fields = rest.split(' ')
  // In ticks since boot; a number that is given again to another process has another start.
  const started = fields[19]
  return name === undefined || started === undefined
    ? undefined
    : { name: printable(name), state: fields[0] ?? '', started }
}

/**
 * A name for people: program and script. No other argument is shown: an argument may be a secret.
 * @param cmdline - arguments, each ended by a zero byte; empty for threads of the kernel
 */
export function nameOf(cmdline: string, otherwise: string): string {
  const [program = '', ...args] = cmdline.split('\0')
  const base = path.basename(program.split(' ')[0] ?? '')
  const script = args.find(
    (each, at) =>
      /^[^-].*\.[cm]?[jt]s$/.test(each) && !each.includes('://') && !preloads.test(args[at - 1] ?? ''),
  )
  return printable(
    [base === '' ? otherwise : base, ...(script === undefined ? [] : [path.basename(script)])].join(' '),
  )
}

/** By the path of its program; the kernel says so if that has been replaced or removed since, as an update does. */
export const isNode = (program: string): boolean =>
  /^node(js)?\d*$/.test(path.basename(program.replace(/ \(deleted\)$/, '')))

/** Options of Node whose value is a module, but not the program. */
const preloads = /^(-r|--require|--import|--loader|--experimental-loader)$/

/** The inode of a socket, from a link in /proc/PID/fd such as "socket:[12345]". */
export function socketInode(link: string): number | undefined {
  return link.startsWith('socket:[') ? Number.parseInt(link.slice(8), 10) : undefined
}

/** Without what a terminal would obey. */
// oxlint-disable-next-line no-control-regex
const printable = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?').slice(0, 60)
