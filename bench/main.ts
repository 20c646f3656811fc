/** `npm run bench [-- --only leaks,overhead,memory,timewait]`: side by side, in one run, as ratios and counts. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

// The peers are installed here, on first use, so that nobody who uses the library has to.
if (!fs.existsSync(path.join(import.meta.dirname, 'node_modules'))) {
  execFileSync('npm', ['ci', '--no-fund', '--no-audit', '--engine-strict=false'], {
    cwd: import.meta.dirname,
    stdio: 'inherit',
  })
}
const sections: Record<string, () => Promise<{ claim: string; holds: boolean; figure: string }[]>> = {
  ...(await import('./sections.ts')),
}

const { values } = parseArgs({ options: { only: { type: 'string' } } })
const wanted = values.only?.split(',') ?? Object.keys(sections)
const unknown = wanted.find((name) => sections[name] === undefined)
if (unknown !== undefined) {
  process.stderr.write(`--only must be of ${Object.keys(sections).join(', ')}, got "${unknown}"\n`)
  process.exit(2)
}
let failed = 0
for (const name of wanted) {
  for (const { claim, holds, figure } of (await sections[name]?.()) ?? []) {
    process.stdout.write(`${holds ? 'PASS' : 'FAIL'}  ${claim}: ${figure}\n`)
    if (!holds) failed++
  }
}
process.exitCode = failed > 0 ? 1 : 0
