/** From numbers to a verdict in words: one rule per way in which sockets go wrong, each limit with its reason. Pure. */
import type { Peer } from './peers.ts'

export type Severity = 'warning' | 'sick'

/** When a rule speaks, and why then. */
export interface Limits {
  readonly warning: number
  readonly sick: number
  readonly reason: string
}

export type Rule = 'unread' | 'close-wait' | 'syn-sent' | 'ports' | 'time-wait' | 'pool' | 'files'

export const rules: Readonly<Record<Rule, Limits>> = {
  unread: {
    warning: 4,
    sick: 32,
    reason:
      'one or two are slow downloads; 8 that are all there are make a pool that hangs; 32 are more than anyone reads at once',
  },
  'close-wait': {
    warning: 4,
    sick: 64,
    reason:
      'a program that is well closes within milliseconds once the other side has; nothing but the program can end these',
  },
  'syn-sent': {
    warning: 4,
    sick: 32,
    reason: 'a connection across the world is made in 300 ms; one may be a packet that was lost',
  },
  ports: {
    warning: 50,
    sick: 90,
    reason:
      'percent of the range; at half a burst can take the rest, and near the end the kernel searches long for a free port',
  },
  'time-wait': {
    warning: 1_000,
    sick: Infinity,
    reason:
      'one lasts 60 s, so these are 17 connections a second that were closed and not used again; alone they only cost ports',
  },
  pool: {
    warning: 512,
    sick: Infinity,
    reason:
      'four times the pool of 128 that drained allows: probably there is no limit, and maybe answers smaller than a buffer are not read',
  },
  files: {
    warning: 80,
    sick: 95,
    reason:
      'percent of the limit of open files; at the limit every connection, file and DNS lookup fails with EMFILE',
  },
}

export interface Finding {
  readonly rule: Rule
  readonly severity: Severity
  /** "namespace": what no single process owns; it concerns every process there. */
  readonly scope: 'process' | 'namespace'
  readonly endpoint: string | undefined
  readonly says: string
  readonly todo: string
}

/** What is looked at. */
export interface Facts {
  readonly peers: readonly Peer[]
  readonly files: { readonly used: number; readonly limit: number | undefined }
  /** Size of the ephemeral port range, if it is known. */
  readonly portRange: number | undefined
  readonly isNode: boolean
}

/** The worst first; none: healthy. */
export function findingsOf({ peers, files, portRange, isNode }: Facts): Finding[] {
  const findings = [
    ...peers.flatMap((peer) => [
      unread(peer, isNode),
      closeWait(peer),
      synSent(peer),
      ports(peer, portRange),
      timeWait(peer),
      pool(peer),
    ]),
    openFiles(files),
  ].filter((each) => each !== undefined)
  return findings.sort((a, b) => weight(b.severity) - weight(a.severity))
}

export type Verdict = 'healthy' | Severity

export function worst(verdicts: readonly Verdict[]): Verdict {
  return verdicts.includes('sick') ? 'sick' : verdicts.includes('warning') ? 'warning' : 'healthy'
}

const weight = (verdict: Verdict): number => ['healthy', 'warning', 'sick'].indexOf(verdict)

function unread({ stuck, states, endpoint, direction }: Peer, isNode: boolean): Finding | undefined {
  const established = states.ESTABLISHED ?? 0
  const isWholePool = stuck.unread >= 8 && stuck.unread === established
  const severity = isWholePool ? 'sick' : severityOf('unread', stuck.unread)
  const whose = direction === 'incoming' ? 'requests of its clients' : 'responses'
  const all = stuck.unread === established ? `all ${established}` : `${stuck.unread} of ${established}`
  return finding('unread', severity, endpoint, {
    says: `${where(endpoint, direction)}: ${all} ESTABLISHED sockets hold data nobody reads (${bytes(stuck.unreadBytes)}): ${whose} are not being read.`,
    todo:
      direction === 'incoming'
        ? 'Read or destroy the body of every request, also of those answered with an error.'
        : `Read or cancel the body of every response, also of those with an error status${isNode ? '; or put the process on drained, which does it: node --import drained/register' : ''}.`,
  })
}

function closeWait({ stuck, endpoint, direction }: Peer): Finding | undefined {
  return finding('close-wait', severityOf('close-wait', stuck.closeWait), endpoint, {
    says: `${where(endpoint, direction)}: ${stuck.closeWait} sockets in CLOSE_WAIT: the other side has closed them, this process has not.`,
    todo: 'Close what has ended: end or destroy the socket, read or cancel the response it carries. An event loop that is blocked does this, too.',
  })
}

function synSent({ stuck, endpoint, direction }: Peer): Finding | undefined {
  return finding('syn-sent', severityOf('syn-sent', stuck.synSent), endpoint, {
    says: `${where(endpoint, direction)}: ${stuck.synSent} connections get no answer (SYN_SENT).`,
    todo: 'Check the address, the firewall and whether the server accepts connections; set a connect timeout.',
  })
}

function ports({ ports: taken, endpoint, direction }: Peer, range: number | undefined): Finding | undefined {
  if (taken === undefined || range === undefined) return undefined
  const percent = (100 * taken.used) / range
  return finding('ports', severityOf('ports', percent), endpoint, {
    scope: 'namespace',
    says:
      `${where(endpoint, direction)}: ${taken.used} of the ${range} ports from which ${taken.from} can connect to it are taken (${Math.floor(percent)} %). ` +
      'At the last one connections fail with EADDRNOTAVAIL.',
    todo: 'Use connections again (keep-alive, a bounded pool, every response read). More ports only put it off: net.ipv4.ip_local_port_range, or more addresses.',
  })
}

function timeWait({ timeWait: count, endpoint, direction }: Peer): Finding | undefined {
  // A server's own TIME_WAIT costs no port.
  if (direction === 'incoming') return undefined
  return finding('time-wait', severityOf('time-wait', count), endpoint, {
    scope: 'namespace',
    says: `${where(endpoint, direction)}: ${count} sockets in TIME_WAIT: about ${Math.round(count / 60)} connections a second were closed from here and not used again.`,
    todo: 'Look for a client made per call, keep-alive turned off, or responses closed before their end.',
  })
}

function pool({ states, stuck, endpoint, direction }: Peer): Finding | undefined {
  const established = states.ESTABLISHED ?? 0
  // Clients may be as many as they like; and what is unread has been said already.
  if (direction === 'incoming' || severityOf('unread', stuck.unread) !== undefined) return undefined
  return finding('pool', severityOf('pool', established), endpoint, {
    says: `${where(endpoint, direction)}: ${established} ESTABLISHED sockets to one endpoint.`,
    todo: 'Bound the pool. If they are idle, look for responses that are never read: small ones leave nothing in the queues of the kernel.',
  })
}

function openFiles({ used, limit }: Facts['files']): Finding | undefined {
  if (limit === undefined) return undefined
  const percent = (100 * used) / limit
  return finding('files', severityOf('files', percent), undefined, {
    says: `${used} of at most ${limit} files are open (${Math.floor(percent)} %). At the limit everything fails with EMFILE.`,
    todo: 'Find what is not closed before raising the limit (ulimit -n, LimitNOFILE=).',
  })
}

function severityOf(rule: Rule, value: number): Severity | undefined {
  const { warning, sick } = rules[rule]
  return value >= sick ? 'sick' : value >= warning ? 'warning' : undefined
}

function finding(
  rule: Rule,
  severity: Severity | undefined,
  endpoint: string | undefined,
  text: { readonly says: string; readonly todo: string; readonly scope?: 'namespace' },
): Finding | undefined {
  return severity && { rule, severity, endpoint, scope: 'process', ...text }
}

const where = (endpoint: string, direction: Peer['direction']): string =>
  direction === 'incoming' ? `Clients of ${endpoint}` : endpoint

/** 12.3 MiB */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  let [value, unit] = [count, 0]
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}
