/** Environment variables as options of install(), checked like options, with the name of the variable in every error. Changes nothing. */
import { InvalidOptionError } from '../errors.ts'
import { nearest } from '../options/check.ts'
import { type InstallOptions, resolveInstall } from '../options.ts'

type Read = (text: string) => unknown

/** What is no number stays text, which the check of the option refuses. */
const number: Read = (text) => (/^\d+$/.test(text) ? Number(text) : text)
const boolean: Read = (text) => ({ true: true, 1: true, false: false, 0: false })[text] ?? text
const proxy: Read = (text) => (text === 'false' ? false : text)

interface Variable {
  /** Path of the option. */
  readonly option: string
  readonly read: Read
}

/** Every variable there is. */
export const variables: { readonly [name: string]: Variable } = {
  DRAINED_FETCH: { option: 'fetch', read: boolean },
  DRAINED_HTTP: { option: 'http', read: boolean },
  DRAINED_CONNECTIONS: { option: 'connections', read: number },
  DRAINED_MAX_ORIGINS: { option: 'maxOrigins', read: number },
  DRAINED_KEEP_ALIVE: { option: 'keepAlive', read: number },
  DRAINED_CONNECTION_LIFETIME: { option: 'connectionLifetime', read: number },
  DRAINED_HTTP2: { option: 'http2', read: boolean },
  DRAINED_PROXY: { option: 'proxy', read: proxy },
  DRAINED_READ_AHEAD: { option: 'drain.readAhead', read: number },
  DRAINED_MEMORY: { option: 'drain.memory', read: number },
  DRAINED_MAX_BYTES: { option: 'drain.maxBytes', read: number },
  DRAINED_MAX_TIME: { option: 'drain.maxTime', read: number },
  DRAINED_STALL: { option: 'drain.stall', read: number },
  DRAINED_QUEUE_WARN: { option: 'queue.warn', read: number },
  DRAINED_LEAKS: { option: 'leaks', read: (text) => text },
}

/**
 * What the variables say, checked.
 * @throws InvalidOptionError naming the variable; an unknown one that begins with DRAINED_ is refused
 */
export function optionsIn(environment: NodeJS.ProcessEnv): InstallOptions {
  const options = readOptions(environment)
  byVariable(() => resolveInstall(options))
  return options
}

/** What is refused is called by its variable, where it has one. */
export function byVariable<T>(take: () => T): T {
  try {
    return take()
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error
    const [name] = Object.entries(variables).find(([, { option }]) => option === error.option) ?? []
    if (name === undefined) throw error
    throw new InvalidOptionError(name, error.message.replace(`Option ${error.option}`, name))
  }
}

/** A variable that is empty is not set. */
export function readOptions(environment: NodeJS.ProcessEnv): InstallOptions {
  const options: Record<string, unknown> = {}
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('DRAINED_') || text === undefined) continue
    const variable = Object.hasOwn(variables, name) ? variables[name] : undefined
    if (variable === undefined) {
      const known = Object.keys(variables)
      throw new InvalidOptionError(
        name,
        `Unknown environment variable ${name}: did you mean ${nearest(name, known)}? Known: ${known.join(', ')}`,
      )
    }
    if (text === '') continue
    const value = variable.read(text)
    const [first = '', second] = variable.option.split('.')
    if (second === undefined) options[first] = value
    else options[first] = { ...(options[first] as object | undefined), [second]: value }
  }
  return options
}
