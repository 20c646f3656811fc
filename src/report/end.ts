/**
 * Calls back once when the process ends: by itself, by process.exit, by an error nobody has caught, or by a signal that nobody else
 * listens to, which then ends it as it would have. Programs look at who listens to a signal to find out whether they have to end
 * themselves: to them we are not there. And whoever listens to the end may change the exit code, so we come after all of them.
 */
import { EventEmitter } from 'node:events'

/** What ends a process that does not listen to it, and can be listened to. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Signal = (typeof signals)[number]
const isOurs = (event: string | symbol): event is Signal => (signals as readonly unknown[]).includes(event)

/** What Node itself knows, us included. */
const known = EventEmitter.prototype

export function atEnd(report: (how: string) => void): void {
  let isOver = false
  const end = (how: string): void => {
    if (isOver) return
    isOver = true
    report(how)
  }
  afterExit((code) => end(`exit code ${code}`))

  const onSignal = (signal: string, number?: number): void => {
    // A program may emit it by itself, as it does for Ctrl-C in a prompt: then nothing has been sent to the process.
    if (number === undefined || known.listenerCount.call(process, signal) > 1) return
    end(signal)
    stop()
    process.kill(process.pid, signal)
  }
  let isMoving = false
  const rearm = (event: string | symbol, listener: unknown): void => {
    if (!isOurs(event) || isMoving) return
    // Node lets go of a signal when the last listener it can see is gone; and removeAllListeners takes ours, too.
    if (listener !== onSignal && process.listenerCount(event) > 0) return
    isMoving = true
    process.removeListener(event, onSignal)
    process.prependListener(event, onSignal)
    isMoving = false
  }
  const stop = (): void => {
    process.removeListener('removeListener', rearm)
    for (const signal of signals) process.removeListener(signal, onSignal)
  }

  hide(onSignal)
  for (const signal of signals) process.on(signal, onSignal)
  process.on('removeListener', rearm)
}

interface Exits {
  emit: (this: unknown, event: string, ...args: unknown[]) => boolean
  reallyExit: (this: unknown, code: number) => never
}

/** Two ways out: the event, once everybody has heard it, and process.exit, which one of them may call meanwhile. */
function afterExit(call: (code: number | string) => void): void {
  const exits = process as unknown as Exits
  const { emit, reallyExit } = exits
  exits.emit = function (event, ...args) {
    if (event !== 'exit') return emit.call(this, event, ...args)
    let isWell = false
    try {
      const isHeard = emit.call(this, event, ...args)
      isWell = true
      return isHeard
    } finally {
      // Node prints what is thrown there.
      call(isWell ? (process.exitCode ?? 0) : 1)
    }
  }
  exits.reallyExit = function (code) {
    call(code)
    return reallyExit.call(this, code)
  }
}

function hide(ours: (signal: string) => void): void {
  const seen = (name: string | symbol): boolean => !known.listeners.call(process, name).includes(ours)
  const methods = {
    listeners: (name: string | symbol) => known.listeners.call(process, name).filter((each) => each !== ours),
    rawListeners: (name: string | symbol) =>
      known.rawListeners.call(process, name).filter((each) => each !== ours),
    listenerCount(name: string | symbol, listener?: (...args: unknown[]) => void) {
      const count = known.listenerCount.call(process, name, listener)
      return listener !== undefined || seen(name) ? count : count - 1
    },
  }
  for (const [name, value] of Object.entries(methods))
    Object.defineProperty(process, name, { value, configurable: true, writable: true })
}
