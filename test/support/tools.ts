/** What some tests take of the machine. Where it is missing they are skipped, which is said; in CI they run, and fail. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { whyNot } from './ports/rig.ts'

const whyNotRun = (program: string, ...args: string[]): string | undefined =>
  spawnSync(program, args).status === 0 ? undefined : `${program} ${args.join(' ')} does not run`

/** Each says why it is not here, or nothing where it is. */
const tools = {
  Linux: () => (process.platform === 'linux' ? undefined : `this is ${process.platform}`),
  root: () => (process.geteuid?.() === 0 ? undefined : 'this is another user'),
  'network namespaces': whyNot,
  '/dev/full': () => (fs.existsSync('/dev/full') ? undefined : 'there is no such file'),
  python3: () => whyNotRun('python3', '--version'),
  ss: () => whyNotRun('ss', '-V'),
  script: () => whyNotRun('script', '--version'),
} satisfies Record<string, () => string | undefined>

/** In CI nothing is skipped. */
export const isCI: boolean = process.env['CI'] !== undefined

/** For `test.runIf`: false where it is not here, so that the test is skipped. */
export function needsTool(name: keyof typeof tools): boolean {
  if (isCI) return true
  const why = tools[name]()
  if (why !== undefined) console.warn(`Tests that take ${name} are skipped: ${why}`)
  return why === undefined
}
