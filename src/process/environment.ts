/** install() with the options that environment variables hold. */
import type { InstallOptions } from '../options.ts'
import { type Installed, installOn } from './install.ts'
import { byVariable, readOptions } from './variables.ts'

/**
 * @param defaults in the place of the usual ones, from outside of the program
 * @throws InvalidOptionError naming the variable; an unknown one that begins with DRAINED_ is refused
 */
export function installFrom(environment: NodeJS.ProcessEnv, defaults?: InstallOptions): Installed {
  const options = readOptions(environment)
  // Checked there. A dispatcher that somebody has set before refuses options that are well elsewhere.
  return byVariable(() => installOn(options, defaults))
}
