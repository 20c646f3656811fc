/** What it costs to know where a forgotten body was asked for, in calls that forget none. */
import { measureSmallJson, rateRows, type Rates, ratios } from '../rates.ts'
import { median, type Section, type Verdict } from '../report.ts'

const base = 'leaks: off'
/** The same as the base in another process: what it differs by is what this machine cannot tell. */
const control = 'leaks: off, once more'
const most = 1.03

export const reports: Section = async ({ rounds = 100, seconds = 0.05 }) => {
  const rates = await measureSmallJson({
    operation: 'reports',
    reference: base,
    clients: [control, 'leaks: sample', 'leaks: all'],
    rounds,
    seconds,
  })
  return {
    tables: [
      {
        title: `Small JSON read with json(), ${rounds} times ${seconds} s beside ${base}, each client in its own process`,
        rows: rateRows(rates, '50 at once', { base }),
      },
    ],
    verdicts: [costOfSampling(rates)],
    figures: rates,
  }
}

/** What the same client costs in another process is no cost of sampling. */
function costOfSampling(rates: Rates): Verdict {
  const sampled = median(ratios(rates, 'leaks: sample', 'cpu'))
  const same = median(ratios(rates, control, 'cpu'))
  return {
    claim: `leaks: sample takes at most ${most} of the CPU time of leaks: off, give or take what off differs from itself`,
    holds: sampled <= most * Math.max(1, same),
    figure: `${sampled.toFixed(3)} (off to itself ${same.toFixed(3)})`,
  }
}
