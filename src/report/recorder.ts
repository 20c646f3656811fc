/** Listens to the library's channels and looks every second at what waits; makes a report of it at any time. In bounded memory. */
import diagnostics from 'node:diagnostics_channel'
import type { Events } from '../events.ts'
import { Leaks } from './leaks.ts'
import type { Report } from './model.ts'
import { redactAll } from './redact.ts'
import { Series } from './series.ts'
import { Tally } from './tally.ts'

/** Milliseconds between looks: next to no work. */
const usual = 1_000
/** The same in the first seconds, or a short program would have no course to show. */
const [fine, beginning] = [100, 10]

/** What is read of a client's statistics. */
export interface Looked {
  readonly requests: { readonly waiting: number }
}

export class Recorder {
  readonly #tally = new Tally()
  readonly #leaks = new Leaks()
  readonly #series = new Series()
  readonly #started = Date.now()
  readonly #since = performance.now()
  readonly #look: () => { readonly [client: string]: Looked }
  #timer: NodeJS.Timeout | undefined
  readonly #listeners: { readonly [K in keyof Events]?: (message: Events[K]) => void } = {
    'drained:body': (message) => this.#tally.onBody(message),
    'drained:connection': (message) => this.#tally.onConnection(message),
    'drained:wait': (message) => this.#tally.onWait(message),
    'drained:reclaim': (message) => this.#tally.onReclaim(message),
    'drained:retry': (message) => this.#tally.onRetry(message),
    'drained:leak': (message) => this.#leaks.onLeak(message),
    'drained:starvation': (message) => this.#tally.onStarvation(message),
  }

  /** @param look statistics by client, for what no event tells: who waits now */
  constructor(look: () => { readonly [client: string]: Looked }) {
    this.#look = look
    for (const [name, listener] of this.#channels()) diagnostics.subscribe(name, listener)
    this.#sampleSoon()
  }

  /**
   * @param ended how the program has ended, or `running`
   * @param hasNodeFetch whether `fetch` is Node's own
   */
  report(program: string, ended: string, hasNodeFetch: boolean): Report {
    this.#sample()
    return redactAll({
      program,
      node: process.versions.node,
      pid: process.pid,
      started: new Date(this.#started).toISOString(),
      seconds: this.#seconds,
      ended,
      hasNodeFetch,
      total: this.#tally.total(),
      origins: this.#tally.origins(),
      leaks: this.#leaks.all(),
      moreLeaks: this.#leaks.more,
      starvations: this.#tally.starvations(),
      samples: this.#series.all(),
    })
  }

  stop(): void {
    clearTimeout(this.#timer)
    for (const [name, listener] of this.#channels()) diagnostics.unsubscribe(name, listener)
  }

  #channels(): [name: string, listener: (message: unknown) => void][] {
    return Object.entries(this.#listeners) as [string, (message: unknown) => void][]
  }

  get #seconds(): number {
    return (performance.now() - this.#since) / 1_000
  }

  #sampleSoon(): void {
    const interval = this.#seconds < beginning ? fine : usual
    this.#timer = setTimeout(() => {
      this.#sample()
      this.#sampleSoon()
    }, interval)
    // Not what keeps a program alive.
    this.#timer.unref()
  }

  #sample(): void {
    const waiting = Object.values(this.#look()).reduce((sum, { requests }) => sum + requests.waiting, 0)
    this.#series.add({ at: this.#seconds, sockets: this.#tally.takePeak(), waiting })
  }
}
