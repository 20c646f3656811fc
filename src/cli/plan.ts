/** `drained plan`: how many sockets and ports a load needs. */
import { type Command, exitCodes, numberOf, quote, read, UsageError } from './command.ts'
import { type Load, type Need, needOf, supplies, type Use, useOf } from './plan/need.ts'
import { number, percent, warningsOf } from './plan/warnings.ts'
import { lineWidth, paint, table, wrap } from './text.ts'

const usage = `drained plan --rate N --latency MS [options]

How many sockets and ports a load to one remote endpoint needs, and which supplies of ports it fits into.

  --rate N          calls per second of one instance
  --latency MS      from the start of a call to the end of its body, on average
  --connections N   limit of the pool (default: none)
  --unread SHARE    responses nobody reads or closes, such as 5% or 0.05 (default 0)
  --hold S          seconds such a response holds its socket (default: for ever)
  --closed SHARE    calls whose connection is closed and not used again (default 0; without keep-alive: 100%)
  --instances N     instances behind one NAT (default 1)
  --ports N         ephemeral ports of the machine (default 28232, those of Linux)
  --json            JSON on standard output
  --help

Exit codes: 0 it fits, 1 there are warnings, 64 arguments`

const options = {
  rate: { type: 'string' },
  latency: { type: 'string' },
  connections: { type: 'string' },
  unread: { type: 'string' },
  hold: { type: 'string' },
  closed: { type: 'string' },
  instances: { type: 'string' },
  ports: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

export const plan: Command = { usage, run: async (args) => run(args) }

function run(args: readonly string[]): number {
  const { values, positionals } = read(args, options)
  if (values.help === true) {
    console.log(usage)
    return exitCodes.healthy
  }
  if (positionals.length > 0)
    throw new UsageError(`drained plan takes options only, got ${quote(positionals[0] ?? '')}`)
  const value = (name: keyof typeof options): string | undefined =>
    typeof values[name] === 'string' ? values[name] : undefined

  const count = (name: 'connections' | 'instances' | 'ports', most: number): number | undefined => {
    const text = value(name)
    return text === undefined ? undefined : numberOf(`--${name}`, text, { least: 1, most, whole: true })
  }

  const needed = (
    name: 'rate' | 'latency',
    range: { readonly least: number; readonly most: number },
  ): number => {
    const text = value(name)
    if (text === undefined) throw new UsageError(`--${name} is needed: drained plan --rate N --latency MS`)
    return numberOf(`--${name}`, text, range)
  }

  const hold = value('hold')
  const load: Load = {
    rate: needed('rate', { least: 0.001, most: 10_000_000 }),
    latency: needed('latency', { least: 0.001, most: 86_400_000 }) / 1_000,
    unread: shareOf('--unread', value('unread')),
    closed: shareOf('--closed', value('closed')),
    hold: hold === undefined ? Infinity : numberOf('--hold', hold, { least: 0.001, most: 86_400_000 }),
    connections: count('connections', 10_000_000) ?? Infinity,
  }
  if (load.unread + load.closed > 1)
    throw new UsageError('--unread and --closed together must be at most 100%')
  if (hold !== undefined && load.unread === 0) throw new UsageError('--hold is only for --unread')

  const instances = count('instances', 1_000_000) ?? 1
  const [linux, ...nats] = supplies
  const own = linux && { ...linux, ports: count('ports', 65_535) ?? linux.ports }
  const need = needOf(load)
  const uses = [...(own === undefined ? [] : [own]), ...nats].map((supply) => useOf(supply, load, instances))
  const warnings = warningsOf(load, need, uses)
  if (values.json === true)
    console.log(JSON.stringify({ load, instances, need, uses, warnings }, undefined, 2))
  else console.log(report(load, instances, need, uses, warnings))
  return warnings.length === 0 ? exitCodes.healthy : exitCodes.warning
}

/** 5% or 0.05 */
function shareOf(name: string, text = '0'): number {
  const [, digits, sign] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? []
  const share = Number(digits) / (sign === '%' ? 100 : 1)
  if (digits === undefined || share > 1)
    throw new UsageError(
      `${name} must be a share such as 5% or 0.05, from 0 to 100%, got ${JSON.stringify(text)}`,
    )
  return share
}

function report(
  load: Load,
  instances: number,
  need: Need,
  uses: readonly Use[],
  warnings: readonly string[],
): string {
  const { rate, latency, connections } = load
  const sums: readonly (readonly [string, string, string])[] = [
    [
      'calls at work',
      number(need.inFlight),
      `${rate} a second x ${Number((latency * 1_000).toFixed(3))} ms (Little's law)`,
    ],
    ['in bursts', String(need.burst), 'three standard deviations more'],
    ['held by unread responses', growing(need.held), ''],
    [
      'sockets at once',
      growing(need.sockets),
      connections === Infinity ? 'no limit of the pool' : `pool of ${connections}`,
    ],
    ['new connections a second', number(need.opened), ''],
    ['ports in TIME_WAIT', number(need.timeWait), '60 s each'],
    ['ports at once', growing(need.ports), 'of one instance'],
  ]
  const columns = table(sums.map(([name, value]) => [name, value]))
  const places = table([
    ['supply of ports to one endpoint', 'ports', 'for', 'taken', 'share'],
    ...uses.map(({ supply, ports, share }) => [
      supply.name,
      String(supply.ports),
      supply.isShared && instances > 1 ? `${instances} instances` : '1 instance',
      growing(ports),
      percent(share),
    ]),
  ])
  return [
    ...columns.map((line, at) => (sums[at]?.[2] ? `${line}   ${paint('dim', sums[at][2])}` : line)),
    '',
    ...places.map((line, at) => (at === 0 ? paint('dim', line) : line)),
    ...warnings.flatMap((warning) => [
      '',
      ...wrap(warning, lineWidth() - 9).map(
        (line, at) => (at === 0 ? paint('yellow', 'warning  ') : ' '.repeat(9)) + line,
      ),
    ]),
    ...(warnings.length === 0 ? ['', 'It fits.'] : []),
  ].join('\n')
}

const growing = (value: number): string => (value === Infinity ? 'ever more' : number(value))
