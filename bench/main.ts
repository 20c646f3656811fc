/**
 * `npm run bench [-- --only leaks,speed --rounds 9 --seconds 0.5 --json]`: side by side, in one run, as ratios and counts.
 * Ends with 1 if a line that must hold does not.
 */
import { parseArgs } from 'node:util'
import { asText, type Report, type Section, statusOf } from './report.ts'
import { install, versions } from './versions.ts'

install()
const { sections }: { sections: Record<string, Section> } = await import('./sections/index.ts')

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}

function parsed(): { only: string[]; rounds?: string; seconds?: string; json: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', default: Object.keys(sections).join(',') },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    return { ...values, only: values.only.split(',') }
  } catch (error) {
    return fail(String(error))
  }
}

const { only, json, ...given } = parsed()

function positive(name: 'rounds' | 'seconds'): number | undefined {
  const text = given[name]
  if (text === undefined) return undefined
  const value = Number(text)
  const isFine = value > 0 && value < 1_000 && (name === 'seconds' || Number.isInteger(value))
  return isFine ? value : fail(`--${name} must be a number above 0, got "${text}"`)
}

const options = { rounds: positive('rounds'), seconds: positive('seconds') }
const unknown = only.find((name) => !Object.hasOwn(sections, name))
if (unknown !== undefined) fail(`--only must be of ${Object.keys(sections).join(', ')}, got "${unknown}"`)

const reports: Record<string, Report> = {}
const used = versions()
if (!json) {
  const list = Object.entries(used).map(([name, version]) => `${name} ${version}`)
  process.stdout.write(`${list.join(', ')}\n`)
}
for (const name of only) {
  const started = performance.now()
  const report = (await sections[name]?.(options)) as Report
  reports[name] = report
  process.stderr.write(`${name}: ${((performance.now() - started) / 1_000).toFixed(0)} s\n`)
  if (!json) process.stdout.write(asText(report))
}
const verdicts = Object.entries(reports).flatMap(([section, report]) =>
  report.verdicts.map((verdict) => ({
    section,
    claim: verdict.claim,
    status: statusOf(verdict),
    figure: verdict.figure,
  })),
)
const failed = verdicts.filter(({ status }) => status === 'fail').length
if (json) {
  const all = Object.entries(reports).map(([name, { tables, figures }]) => [name, { tables, figures }])
  const result = { versions: used, options, verdicts, failed, sections: Object.fromEntries(all) as unknown }
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
} else {
  process.stdout.write(`\n${verdicts.length} verdicts, ${failed} failed\n`)
}
process.exitCode = failed > 0 ? 1 : 0
