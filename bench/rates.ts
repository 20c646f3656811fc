/** Rates of several clients, measured in turns, so that whatever else this machine does hits all alike. */
import { median, spread, type Verdict } from './report.ts'
import { messageOf, type Origin, startWorker, type Worker } from './run.ts'
import type { Rate } from './tasks/rate.ts'

/** A rate, and the share of a core the origin used meanwhile. */
export interface Round extends Rate {
  readonly originBusy: number
}
export type Measured = { readonly rounds: readonly Round[] } | { readonly error: string }
export type Rates = Readonly<Record<string, Measured>>

/** Seconds; after one, rates still rise. */
const warmUp = 2

export interface Plan {
  readonly operation: string
  readonly clients: readonly string[]
  readonly url: string
  readonly expected: string
  readonly atOnce: number
  readonly rounds: number
  readonly seconds: number
}

/** Each client keeps its process for all rounds of all plans given for it; a round goes there, the next one back again. */
export async function measure(origin: Origin, plan: Plan): Promise<Rates> {
  const workers = new Map<string, Worker>()
  const rounds = new Map<string, Round[]>()
  const errors = new Map<string, string>()
  for (const client of plan.clients) {
    const worker = startWorker('child.ts')
    workers.set(client, worker)
    rounds.set(client, [])
    await attempt(client, async () => {
      await worker.ask({ ...plan, kind: 'prepare', client })
      // Until everything that matters has been compiled by V8's last compiler, whichever client has more of it.
      await worker.ask({ kind: 'rate', atOnce: plan.atOnce, seconds: warmUp })
    })
  }

  async function attempt(client: string, what: () => Promise<void>): Promise<void> {
    try {
      await what()
    } catch (error) {
      errors.set(client, messageOf(error))
    }
  }

  for (let round = 0; round < plan.rounds; round++) {
    for (const client of round % 2 === 0 ? plan.clients : plan.clients.toReversed()) {
      const worker = workers.get(client)
      if (worker === undefined || errors.has(client)) continue
      await attempt(client, async () => {
        const before = (await origin.counts()).cpu
        const started = performance.now()
        const rate = await worker.ask<Rate>({ kind: 'rate', atOnce: plan.atOnce, seconds: plan.seconds })
        const elapsed = (performance.now() - started) * 1_000
        rounds.get(client)?.push({ ...rate, originBusy: ((await origin.counts()).cpu - before) / elapsed })
      })
    }
  }
  await Promise.all([...workers.values()].map((worker) => worker.stop()))
  return Object.fromEntries(
    plan.clients.map((client) => {
      const error = errors.get(client)
      return [client, error === undefined ? { rounds: rounds.get(client) ?? [] } : { error }]
    }),
  )
}

/** Of one to the other, round by round; empty if either failed. */
export function ratios(
  rates: Rates,
  one: string,
  other: string,
  of: 'perSecond' | 'cpu' = 'perSecond',
): number[] {
  const [a, b] = [rates[one], rates[other]]
  if (a === undefined || b === undefined || 'error' in a || 'error' in b) return []
  return a.rounds.map((round, at) => round[of] / (b.rounds[at]?.[of] ?? Number.NaN))
}

/** What a row says of rate and CPU time: `own` compared with its client, or its client compared with `base`. */
export type Comparison = { readonly own: string } | { readonly base: string }

export function rateRows(rates: Rates, title: string, comparison: Comparison): string[][] {
  const heading = 'own' in comparison ? `${comparison.own} to it` : `to ${comparison.base}`
  const pair = (client: string): [string, string] =>
    'own' in comparison ? [comparison.own, client] : [client, comparison.base]
  const rows = [[title, 'calls/s', heading, 'CPU µs a call', heading, 'origin busy']]
  for (const [client, measured] of Object.entries(rates)) {
    if ('error' in measured) {
      rows.push([client, `failed: ${measured.error}`, '', '', '', ''])
      continue
    }
    const of = (key: keyof Round): number => median(measured.rounds.map((round) => round[key]))
    rows.push([
      client,
      of('perSecond').toFixed(of('perSecond') < 1_000 ? 1 : 0),
      shown(ratios(rates, ...pair(client))),
      of('cpu').toFixed(of('cpu') < 100 ? 1 : 0),
      shown(ratios(rates, ...pair(client), 'cpu')),
      `${(100 * of('originBusy')).toFixed(0)} %`,
    ])
  }
  return rows
}

const shown = (values: readonly number[]): string => (values.length === 0 ? 'failed' : spread(values))

/** A client that failed passes nothing. */
export function atLeast(rates: Rates, one: string, other: string, least: number, where: string): Verdict {
  const found = ratios(rates, one, other)
  return {
    claim: `${where}: ${one} at least ${least.toFixed(2)} of ${other}`,
    holds: median(found) >= least,
    // Where one core is all a client has, the rate is what CPU time allows, and that is the steadier figure.
    figure: `${shown(found)}; by CPU time ${median(ratios(rates, other, one, 'cpu')).toFixed(2)}`,
  }
}
