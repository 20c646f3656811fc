/** undici's global dispatcher: what stands there because somebody chose it, and what is only a default. */
import { types } from 'node:util'
import { type Dispatcher, getGlobalDispatcher } from 'undici'

/** What stood there before the program could say anything to this copy of undici. */
const initial: Dispatcher | undefined = getGlobalDispatcher()

/** Neither a proxy, a mock or an Agent with interceptors: whoever loaded undici first has put it there. */
const isDefault = (dispatcher: Dispatcher): boolean =>
  dispatcher === initial && dispatcher.constructor.name === 'Agent' && !types.isProxy(dispatcher)

/** The global dispatcher, if it is somebody's choice. */
export function chosenDispatcher(): Dispatcher | undefined {
  const current = getGlobalDispatcher() as Dispatcher | undefined
  return current === undefined || isDefault(current) ? undefined : current
}
