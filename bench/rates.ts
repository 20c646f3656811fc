/**
 * Rates of several clients, each beside one they are all compared with: a short slice of the one, a short slice of the other, many
 * times over. What two neighbours share, drift and other work on this machine, is in no ratio.
 */
import { median, spread, type Verdict } from './report.ts'
import { messageOf, type Origin, startOrigin, startWorker, type Worker } from './run.ts'
import { json } from './shapes.ts'
import type { Rate } from './tasks/rate.ts'

/** A rate, the share of a core the origin used meanwhile, and the slice of the reference beside it (none beside its own). */
export interface Round extends Rate {
  readonly originBusy: number
  readonly beside: Rate | undefined
}
export type Measured = { readonly rounds: readonly Round[] } | { readonly error: string }
export type Rates = Readonly<Record<string, Measured>>

/** Seconds; after one, rates still rise. */
const warmUp = 2

export interface Plan {
  readonly operation: string
  /** The client the others are compared with. */
  readonly reference: string
  readonly clients: readonly string[]
  readonly url: string
  readonly expected: string
  readonly atOnce: number
  readonly rounds: number
  readonly seconds: number
}

/** Pairs of the same two in a row, before others have their turn. */
const inRow = 10

/**
 * What one process has compiled, and how its memory lies, makes it up to a fifth faster or slower than another one of the same code: the
 * two of each turn are new ones. No other is there meanwhile, since even idle ones slow this machine down.
 */
export async function measure(origin: Origin, plan: Plan): Promise<Rates> {
  const rounds = new Map<string, Round[]>([plan.reference, ...plan.clients].map((client) => [client, []]))
  const errors = new Map<string, string>()
  for (let left = plan.rounds; left > 0; left -= inRow) {
    for (const client of plan.clients) {
      const failed = await takeTurn(origin, plan, client, Math.min(inRow, left), (beside, own) => {
        rounds.get(plan.reference)?.push(beside)
        rounds.get(client)?.push(own)
      })
      if (failed !== undefined) errors.set(...failed)
    }
  }
  return Object.fromEntries(
    [...rounds].map(([client, found]) => {
      const error = errors.get(client)
      return [client, error === undefined ? { rounds: found } : { error }]
    }),
  )
}

/** Returns who has failed, and why. */
async function takeTurn(
  origin: Origin,
  plan: Plan,
  client: string,
  pairs: number,
  onPair: (beside: Round, own: Round) => void,
): Promise<[client: string, error: string] | undefined> {
  const { reference, atOnce, seconds } = plan
  const workers = { reference: startWorker('child.ts'), client: startWorker('child.ts') }
  let current = reference

  async function prepare(worker: Worker, name: string): Promise<void> {
    current = name
    await worker.ask({ ...plan, kind: 'prepare', client: name })
    // Until everything that matters has been compiled by V8's last compiler, whichever client has more of it.
    await worker.ask({ kind: 'rate', atOnce, seconds: warmUp })
  }

  async function slice(worker: Worker, name: string): Promise<Round> {
    current = name
    const before = (await origin.counts()).cpu
    const started = performance.now()
    const rate = await worker.ask<Rate>({ kind: 'rate', atOnce, seconds })
    const elapsed = (performance.now() - started) * 1_000
    return { ...rate, originBusy: ((await origin.counts()).cpu - before) / elapsed, beside: undefined }
  }

  try {
    await prepare(workers.reference, reference)
    await prepare(workers.client, client)
    for (let done = 0; done < pairs; done++) {
      // In every other pair the reference comes second.
      const isForth = done % 2 === 0
      const first = isForth ? await slice(workers.reference, reference) : undefined
      const own = await slice(workers.client, client)
      const beside = first ?? (await slice(workers.reference, reference))
      onPair(beside, { ...own, beside })
    }
    return undefined
  } catch (error) {
    return [current, messageOf(error)]
  } finally {
    await Promise.all([workers.reference.stop(), workers.client.stop()])
  }
}

/** Small JSON from an origin of its own, 50 calls at once. */
export async function measureSmallJson(
  plan: Pick<Plan, 'operation' | 'reference' | 'clients' | 'rounds' | 'seconds'>,
): Promise<Rates> {
  const origin = await startOrigin('canned')
  const rates = await measure(origin, { ...plan, url: `${origin.url}/json`, expected: json, atOnce: 50 })
  await origin.stop()
  return rates
}

/** Of a client to the reference, pair by pair; empty if either failed. */
export function ratios(rates: Rates, client: string, of: 'perSecond' | 'cpu' = 'perSecond'): number[] {
  const measured = rates[client]
  if (measured === undefined || 'error' in measured) return []
  return measured.rounds.map((round) => round[of] / (round.beside?.[of] ?? Number.NaN))
}

const inverse = (values: readonly number[]): number[] => values.map((value) => 1 / value)

/** What a row says of rate and CPU time: `own`, which is the reference, to its client; or its client to `base`, which is. */
export type Comparison = { readonly own: string } | { readonly base: string }

export function rateRows(rates: Rates, title: string, comparison: Comparison): string[][] {
  const isOwn = 'own' in comparison
  const reference = isOwn ? comparison.own : comparison.base
  const heading = isOwn ? `${reference} to it` : `to ${reference}`
  const compared = (client: string, of: 'perSecond' | 'cpu'): string => {
    if (client === reference) return ''
    const found = ratios(rates, client, of)
    return shown(isOwn ? inverse(found) : found)
  }
  const rows = [[title, 'calls/s', heading, 'CPU µs a call', heading, 'origin busy']]
  for (const [client, measured] of Object.entries(rates)) {
    if ('error' in measured) {
      rows.push([client, `failed: ${measured.error}`, '', '', '', ''])
      continue
    }
    const of = (key: 'perSecond' | 'cpu' | 'originBusy'): number =>
      median(measured.rounds.map((round) => round[key]))
    rows.push([
      client,
      of('perSecond').toFixed(of('perSecond') < 1_000 ? 1 : 0),
      compared(client, 'perSecond'),
      of('cpu').toFixed(of('cpu') < 100 ? 1 : 0),
      compared(client, 'cpu'),
      `${(100 * of('originBusy')).toFixed(0)} %`,
    ])
  }
  return rows
}

const shown = (values: readonly number[]): string => (values.length === 0 ? 'failed' : spread(values))

/**
 * A client is at least as fast as `least` of another, one of them being the reference. One that failed passes nothing; nothing is said
 * where it depends on what `control`, the reference once more, differs from the reference by.
 */
export function atLeast(
  rates: Rates,
  comparison: Comparison,
  client: string,
  least: number,
  where: string,
  control?: string,
): Verdict {
  const isOwn = 'own' in comparison
  const [one, other] = isOwn ? [comparison.own, client] : [client, comparison.base]
  const [rate, cpu] = [ratios(rates, client), ratios(rates, client, 'cpu')]
  const found = isOwn ? inverse(rate) : rate
  const alike = control === undefined ? [1] : ratios(rates, control)
  const error = 1 + Math.abs(median(alike) - 1)
  const value = median(found)
  const isCertain = value / error >= least || value * error < least
  // Where one core is all a client has, the rate is what CPU time allows, and that is the steadier figure.
  const figure = `${shown(found)}; by CPU time ${median(isOwn ? cpu : inverse(cpu)).toFixed(2)}`
  return {
    claim: `${where}: ${one} at least ${least.toFixed(2)} of ${other}`,
    holds: found.length === 0 ? false : isCertain ? value >= least : undefined,
    figure: isCertain ? figure : `${figure}; too noisy here, ${control} is ${shown(alike)} of itself`,
  }
}
