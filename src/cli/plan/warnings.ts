/** What is wrong with a plan, in words. Pure. */
import { type Load, type Need, type Use, wholeFrom } from './need.ts'

/** Above this use of a pool, calls wait noticeably for one another. */
const busy = 0.8

export function warningsOf(load: Load, need: Need, uses: readonly Use[]): string[] {
  const { rate, unread, hold, connections } = load
  const { inFlight, held } = need
  const wanted = number(need.burst + held)
  const leak = `${number(rate * unread)} responses a second are not read`
  const warnings: (string | false)[] = [
    need.hangsAfter === undefined &&
      connections !== Infinity &&
      inFlight + held >= connections &&
      `A pool of ${connections} carries at most ${most(need.capacity)} calls a second; the queue grows without end. It needs ${wanted}.`,
    need.hangsAfter === undefined &&
      inFlight + held < connections &&
      inFlight + held > busy * connections &&
      `A pool of ${connections} is ${percent((inFlight + held) / connections)} busy: calls wait. ${wanted} would take bursts, too.`,
    need.hangsAfter !== undefined &&
      `${leak}: after ${duration(need.hangsAfter)} they hold the whole pool of ${connections}, and calls wait ${hold === Infinity ? 'for ever' : `until one is let go: the queue grows without end`}.`,
    need.held === Infinity &&
      `${leak}, and nothing bounds the pool: sockets grow without end. Bound it, and read or close every response.`,
    need.hangsAfter === undefined &&
      need.held > 0 &&
      need.held !== Infinity &&
      `${leak}: they hold ${number(need.held)} sockets that do no work.`,
    ...uses.map(({ supply, share, goneAfter, ports }) =>
      goneAfter !== undefined
        ? `${supply.name}: its ${supply.ports} ports are gone after ${duration(goneAfter)}.`
        : share > 1
          ? `${supply.name}: ${ports} ports are needed, ${supply.ports} are there. Connections will fail.`
          : share >= 0.5 &&
            `${supply.name}: ${percent(share)} of its ${supply.ports} ports are taken; ${share === 1 ? 'none is left' : 'a burst may take the rest'}.`,
    ),
  ]
  return warnings.filter((each) => each !== false)
}

/** Rounded up to what somebody would plan with. */
export function number(value: number): string {
  if (value === Infinity) return 'no limit'
  if (value >= 10 || Number.isInteger(value)) return String(wholeFrom(value))
  if (value >= 0.95) return value.toFixed(1)
  return value < 0.001 ? '< 0.001' : String(Number(value.toPrecision(2)))
}

/** Rounded down, where what is given is a limit. */
const most = (value: number): string =>
  value >= 10 && value !== Infinity ? String(Math.floor(Number(value.toPrecision(12)))) : number(value)

export const percent = (share: number): string =>
  share === Infinity ? 'ever more' : share > 0 && share < 0.001 ? '< 0.1 %' : `${number(share * 100)} %`

export function duration(seconds: number): string {
  if (seconds < 120) return `${number(seconds)} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} minutes`
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} hours`
  const days = Math.round(seconds / 86_400)
  return days < 10_000 ? `${days} days` : 'decades'
}
