/** `drained doctor`: what the sockets of a process are doing, and whether that is healthy. */
import { CliError, type Command, exitCodes } from './command.ts'

export const doctor: Command = {
  usage: 'drained doctor [pid]',
  run: async () => {
    throw new CliError('drained doctor is being built', exitCodes.unavailable)
  },
}
