/** Every process that may be looked at, examined once: which of them stands out. */
import { CliError, exitCodes } from '../command.ts'
import { paint, table } from '../text.ts'
import { type Diagnosis, Doctor, type Tables } from './diagnosis.ts'
import { allProcesses, hasProgram, namespaceOf, othersAreHidden, socketsAround } from './proc.ts'
import { findingLines, verdictWord } from './report.ts'
import { lookEvery } from './stuck.ts'
import type { Socket } from './tcp.ts'
import { type Finding, type Verdict, worst } from './verdict.ts'

export interface Round {
  /** Unknown: none was found that could be examined, and some could not. */
  readonly verdict: Verdict | 'unknown'
  /** Those with TCP connections: the worst first, then Node's, then those with the most sockets. */
  readonly processes: readonly Diagnosis[]
  /** What belongs to no single process: said once. */
  readonly around: readonly Finding[]
  /** Processes that may not be looked at. */
  readonly unreadable: number
  /** There may be others that cannot even be seen. */
  readonly hidden: boolean
}

const order = { sick: 0, warning: 1, healthy: 2 } as const

export async function round(): Promise<Round> {
  const tables = sharedTables()
  const pids = allProcesses().filter((pid) => pid !== process.pid)
  const seen = await Promise.all(pids.map((pid) => examined(pid, tables)))
  const unreadable = seen.filter((each) => each === 'unreadable').length
  const all = seen.filter((each) => each !== 'unreadable' && each !== undefined)
  // Each of them is seen from every process, a moment later with other numbers.
  const around = new Map(
    all
      .flatMap((each) => [...each.findings.filter(isShared), ...each.around])
      .map((finding) => [`${finding.rule} ${finding.endpoint}`, finding]),
  )
  const processes = all
    .map((each) => {
      const findings = each.findings.filter((finding) => !isShared(finding))
      return { ...each, findings, verdict: worst(findings.map(({ severity }) => severity)) }
    })
    .sort(
      (a, b) =>
        order[a.verdict] - order[b.verdict] ||
        Number(b.process.isNode) - Number(a.process.isNode) ||
        socketsIn(b) - socketsIn(a),
    )
  const shared = [...around.values()]
  const hidden = othersAreHidden()
  const verdict =
    processes.length === 0 && (unreadable > 0 || hidden)
      ? 'unknown'
      : worst([...processes.map((each) => each.verdict), ...shared.map(({ severity }) => severity)])
  return { verdict, processes, around: shared, unreadable, hidden }
}

/** Undefined: without TCP connections, or ended while the others were looked at. */
async function examined(pid: number, tables: Tables): Promise<Diagnosis | 'unreadable' | undefined> {
  try {
    const doctor = new Doctor(pid, tables)
    return doctor.isConnected() ? await doctor.examine() : undefined
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    return error.exitCode === exitCodes.notPermitted && hasProgram(pid) ? 'unreadable' : undefined
  }
}

/** Processes that look at the same time, into the same namespace, share what they read: it may be 30,000 sockets. */
function sharedTables(): Tables {
  const read = new Map<string, { readonly at: number; readonly sockets: readonly Socket[] }>()
  return (pid) => {
    const namespace = namespaceOf(pid) ?? String(pid)
    const last = read.get(namespace)
    if (last !== undefined && performance.now() - last.at < lookEvery / 2) return last.sockets
    const sockets = socketsAround(pid)
    read.set(namespace, { at: performance.now(), sockets })
    return sockets
  }
}

const isShared = ({ scope }: Finding): boolean => scope === 'namespace'

const socketsIn = ({ peers }: Pick<Diagnosis, 'peers'>): number =>
  peers.reduce((sum, { sockets }) => sum + sockets, 0)

/** Processes shown; the rest is counted. */
const rowsShown = 20

export function roundReport({ processes, around, unreadable, hidden }: Round, width: number): string {
  const shown = processes.slice(0, rowsShown)
  const head = ['process', 'pid', 'sockets', 'ESTABLISHED', 'unread', 'CLOSE_WAIT', 'files']
  const rows = shown.map((each) => [
    each.process.name,
    String(each.process.pid),
    String(socketsIn(each)),
    ...[
      sum(each, ({ states }) => states.ESTABLISHED ?? 0),
      sum(each, ({ unread }) => unread),
      sum(each, ({ states }) => states.CLOSE_WAIT ?? 0),
      each.files.used,
    ].map((value) => (value === 0 ? '-' : String(value))),
  ])
  const [title = '', ...lines] = table([head, ...rows])
  return [
    ...(shown.length === 0
      ? ['No process that may be looked at has a TCP connection.']
      : [paint('dim', title)]),
    ...lines.map((line, at) => `${line}  ${verdictWord(shown[at]?.verdict ?? 'healthy')}`),
    ...(processes.length > shown.length
      ? [`and ${processes.length - shown.length} more (--json has them all)`]
      : []),
    ...(unreadable > 0
      ? [`${unreadable} more may not be looked at: they belong to other users, or are protected. Root may.`]
      : []),
    ...(hidden ? ['Other processes may be hidden: /proc is mounted with hidepid. Root sees them.'] : []),
    ...shown.flatMap(({ process: { name, pid }, findings }) =>
      findings.flatMap((finding) => ['', `${name}, process ${pid}`, ...findingLines(finding, width)]),
    ),
    ...(around.length === 0 ? [] : ['', 'In the network namespace, of no single process:']),
    ...around.flatMap((finding) => findingLines(finding, width)),
    ...(shown.length === 0 ? [] : ['', 'More about one of them: drained doctor PID']),
  ].join('\n')
}

const sum = ({ peers }: Diagnosis, of: (peer: Diagnosis['peers'][number]) => number): number =>
  peers.reduce((total, peer) => total + of(peer), 0)
