/** A small JSON answer, read: what a call costs. */
import { atLeast, measure, rateRows, type Rates } from '../rates.ts'
import { median, type Section, type Verdict } from '../report.ts'
import { startOrigin } from '../run.ts'
import { json } from '../shapes.ts'

const own = 'client.fetch'
/** The same in another process: what it differs by is what this machine cannot tell. */
const control = 'client.fetch, once more'
const ceiling = 'raw sockets'
/** What a fetch has to send, without the rest of it. */
const laden = "bare dispatch, fetch's headers"
const targets: readonly [string, number][] = [
  ['undici.fetch', 4],
  ['global fetch', 4],
  ['undici.request', 1.25],
  ['bare dispatch', 0.8],
  ['got', 5],
  ['axios', 5],
  ['ky', 5],
  ['node-fetch', 5],
  ['make-fetch-happen', 5],
]
/** An origin busier than this share of a core holds its clients up. */
const busy = 0.9

export const speed: Section = async ({ rounds = 50, seconds = 0.05 }) => {
  const origin = await startOrigin('canned')
  const plan = {
    operation: 'json',
    reference: own,
    clients: [control, ...targets.map(([client]) => client), laden, ceiling],
    url: `${origin.url}/json`,
    expected: json,
    rounds,
    seconds,
  }
  const together = await measure(origin, { ...plan, atOnce: 50 })
  const sequential = await measure(origin, { ...plan, atOnce: 1, rounds: Math.ceil(rounds / 3) })
  await origin.stop()
  return {
    tables: [
      {
        title: `Small JSON read with json(), ${rounds} times ${seconds} s beside ${own}, each client in its own process`,
        note: `Ratios: median (middle half), pair by pair. ${ceiling}: no HTTP at all, the most the origin is asked for.`,
        rows: rateRows(together, '50 at once', { own }),
      },
      { title: 'The same, one call after another', rows: rateRows(sequential, 'sequential', { own }) },
    ],
    verdicts: [
      originKeepsUp(together),
      ...targets.map(([client, least]) =>
        atLeast(together, { own }, client, least, 'small JSON, 50 at once', control),
      ),
    ],
    figures: { together, sequential },
  }
}

function originKeepsUp(rates: Rates): Verdict {
  let [most, busiest] = [0, '']
  for (const [client, measured] of Object.entries(rates)) {
    if (client === ceiling || 'error' in measured) continue
    const share = median(measured.rounds.map(({ originBusy }) => originBusy))
    if (share > most) [most, busiest] = [share, client]
  }
  return {
    claim: `the origin is not the bottleneck: at most ${busy * 100} % of a core busy`,
    holds: most > 0 && most <= busy,
    figure: `${(100 * most).toFixed(0)} % with ${busiest || 'nobody'}`,
  }
}
