/**
 * install: one client for the whole process, under everything that names no dispatcher, agent or client of its own. What was there
 * before is put back by the function it returns, unless somebody has replaced ours meanwhile.
 */
import { isDeepStrictEqual } from 'node:util'
import { InvalidOptionError } from '../errors.ts'
import { type InstallOptions, type ResolvedInstall, resolveInstall } from '../options.ts'
import type { WireStats } from '../wire/stats.ts'
import { putAgents } from './agents.ts'
import { putDispatcher } from './dispatcher.ts'
import { putFetch } from './fetch.ts'
import type { Put } from './put.ts'

/** What {@link install} returns: a function that undoes it. */
export interface Installed {
  /**
   * Puts back what was there. Calls under way go on, and so does whoever took hold of what was installed. Where somebody has put
   * something else in our place, that stays. Safe to call more than once.
   */
  (): void
  /** Statistics by client: `process` is what `fetch` and undici use, `http` and `https` are the agents. */
  stats(): { readonly [client: string]: WireStats }
  [Symbol.dispose](): void
}

export interface Slot {
  readonly installed: Installed
  readonly options: InstallOptions
  /** Installed from outside of the program, which then may have options of its own. */
  readonly defaults: InstallOptions | undefined
  /** Whether `fetch` itself is ours. */
  readonly hasFetch: boolean
  /** Once more, after it was undone. */
  put(): void
}

/** The same for every copy of the library in the process: only the first one installs. */
const key = Symbol.for('drained.installed')
const slots = globalThis as { [key]?: Slot | undefined }

/** What is installed now, by whomever. */
export const current = (): Slot | undefined => slots[key]

/**
 * Puts the whole process on one client: undici's global dispatcher (and with it Node's own `fetch`), the default `fetch` of this
 * library, and the agents of node:http and node:https; if asked for, `globalThis.fetch` itself. A global dispatcher somebody has set stays,
 * with the contract on it; what somebody has set of the global agents (`ca`, `maxSockets`, ...) is carried over, unless these options say
 * otherwise. Whoever passes a dispatcher or an agent keeps it. Called again, it returns what it returned before.
 * @throws InvalidOptionError naming the option, its value and what is accepted; for other options than those of the first call
 */
export const install = (options: InstallOptions = {}): Installed => installOn(options)

/**
 * The same from outside of the program, with other defaults: a program that calls `install` with options knows nothing of it, and what it
 * asks for takes the place.
 */
export function installOn(options: InstallOptions, defaults?: InstallOptions): Installed {
  const before = slots[key]
  const resolved = resolveInstall({ ...before?.defaults, ...defaults, ...options })
  if (before !== undefined) {
    if (Object.keys(options).length === 0 || isDeepStrictEqual(before.options, options))
      return before.installed
    if (before.defaults === undefined)
      throw new InvalidOptionError(
        'options',
        'install() was called before with other options: undo that first',
      )
    before.installed()
  }
  let parts: Put[] = []
  const put = (): void => {
    parts = putAll(resolved)
    slots[key] = slot
  }
  const undo = (): void => {
    if (slots[key]?.installed !== installed) return
    slots[key] = undefined
    for (const part of parts) part.undo()
  }
  const installed: Installed = Object.assign(() => undo(), {
    stats: () =>
      Object.fromEntries(
        parts.flatMap((part) => Object.entries(part.stats)).map(([name, stats]) => [name, stats()]),
      ),
    [Symbol.dispose]: undo,
  })
  const slot: Slot = { installed, options: { ...options }, defaults, hasFetch: resolved.fetch, put }
  try {
    put()
  } catch (error) {
    // What cannot take its place leaves it there.
    before?.put()
    throw error
  }
  return installed
}

/** All, or nothing. */
function putAll(options: ResolvedInstall): Put[] {
  const parts: Put[] = []
  try {
    parts.push(putDispatcher(options))
    if (options.http) for (const part of putAgents(options)) parts.push(part)
    if (options.fetch) parts.push(putFetch())
    return parts
  } catch (error) {
    for (const part of parts) part.undo()
    throw error
  }
}
