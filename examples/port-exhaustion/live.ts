/** The view while it runs: on a terminal one line per client, drawn again and again; elsewhere plain lines, one a second. */
import type { Now } from './measure.ts'
import { labels } from './table.ts'
import type { ClientName } from './task.ts'

export interface Live {
  update(client: ClientName, now: Now): void
  /** The last word on one client. */
  end(client: ClientName, now: Now, verdict: string): void
}

export interface Screen {
  write(text: string): unknown
  readonly columns?: number
}

const barWidth = 12

export function live(
  screen: Screen,
  clients: readonly ClientName[],
  calls: number,
  isTerminal: boolean,
): Live {
  const width = Math.max(...clients.map((client) => labels[client].length))
  const text = (client: ClientName, { done, open }: Now, verdict = ''): string => {
    const full = Math.floor((done / calls) * barWidth)
    const bar = '#'.repeat(full).padEnd(barWidth, '.')
    const count = `${String(done).padStart(String(calls).length)} of ${calls} calls`
    return `  ${labels[client].padEnd(width)} [${bar}] ${count}, ${String(open).padStart(3)} sockets open${verdict}`
  }

  if (!isTerminal) {
    let [last, nextAt] = ['', performance.now() + 1_000]
    const print = (line: string): void => {
      // A client that hangs has said so once.
      if (line !== last) screen.write(`${line}\n`)
      last = line
      nextAt = performance.now() + 1_000
    }
    return {
      update: (client, now) => void (performance.now() >= nextAt && print(text(client, now))),
      end: (client, now, verdict) => print(text(client, now, `: ${verdict}`)),
    }
  }

  const lines = new Map(clients.map((client) => [client, text(client, { done: 0, open: 0 })]))
  let drawn = 0
  const draw = (client: ClientName, line: string): void => {
    lines.set(client, line)
    // A line that wraps would put the cursor one line off. Some terminals say they are 0 wide.
    const cut = [...lines.values()].map((each) => each.slice(0, (screen.columns || 80) - 1))
    screen.write(
      `${drawn === 0 ? '' : `\u001b[${drawn}A`}${cut.map((each) => `\u001b[2K${each}\n`).join('')}`,
    )
    drawn = cut.length
  }
  return {
    update: (client, now) => draw(client, text(client, now)),
    end: (client, now, verdict) => draw(client, text(client, now, `: ${verdict}`)),
  }
}
