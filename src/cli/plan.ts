/** `drained plan`: how many sockets and ports a load needs. */
import { CliError, type Command, exitCodes } from './command.ts'

export const plan: Command = {
  usage: 'drained plan',
  run: async () => {
    throw new CliError('drained plan is being built', exitCodes.unavailable)
  },
}
