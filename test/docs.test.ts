/** The documentation and the code name the same things, with the same values. */
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import * as drained from '../src/index.ts'
import { measures } from '../src/adapters/metrics/measures.ts'
import { timings } from '../src/adapters/metrics/timings.ts'
import { clientDefaults, drainDefaults, installDefaults, queueDefaults } from '../src/options.ts'
import { backoffDefaults, budgetDefaults, retryDefaults } from '../src/options/retry.ts'
import { variables } from '../src/process/variables.ts'
import { decide } from '../src/wire/decision.ts'

const root = path.join(import.meta.dirname, '..')
const read = (file: string): string => fs.readFileSync(path.join(root, file), 'utf8')

test('docs/options.md has every option with its default', () => {
  const page = read('docs/options.md')
  for (const [name, value] of Object.entries({ ...drainDefaults, ...clientDefaults, ...queueDefaults })) {
    expect(page).toMatch(new RegExp(`\\| \`${name}\` .*\`${value}\``))
  }
  const source = ['agent', 'clients', 'limits', 'process', 'services'].map((name) =>
    read(`src/options/${name}.ts`),
  )
  const declared = [...source.join('\n').matchAll(/^ {2}(\w+)\?: /gm)].map(([, name]) => name as string)
  expect(declared.length).toBeGreaterThan(15)
  for (const name of declared) expect(page).toContain(`\`${name}\``)
})

test('docs/retry.md has every option of retries with its default, and every code', () => {
  const page = read('docs/retry.md')
  const { codes, ...plain } = retryDefaults
  for (const [name, value] of Object.entries({ ...plain, ...backoffDefaults, ...budgetDefaults })) {
    const shown = [value].flat().map((each) => `\`${each}\``)
    expect(page).toMatch(new RegExp(`\\| \`${name}\` .*\\| ${shown.join(', ')} +\\|`))
  }
  for (const code of codes) expect(page).toContain(`\`${code}\``)
  const source = read('src/options/retry.ts')
  const declared = [...source.matchAll(/^ {2}(\w+)\?: /gm)].map(([, name]) => name as string)
  expect(declared.length).toBeGreaterThan(12)
  for (const name of [...declared, 'after']) expect(page).toContain(`\`${name}\``)
  const policy = [...source.matchAll(/^ {2}readonly (\w+)\??: /gm)].map(([, name]) => name as string)
  expect(policy.length).toBeGreaterThan(5)
  for (const name of policy) expect(page).toContain(`\`${name}\``)
})

test('docs/stats-and-events.md has every channel, message field and reason', () => {
  const page = read('docs/stats-and-events.md')
  const events = read('src/events.ts')
  const listed = events.slice(events.indexOf('export type Reason'), events.indexOf('/** Who ended'))
  const reasons = [...listed.matchAll(/\| '([\w-]+)'/g)]
  const fields = [...events.matchAll(/^ {2}readonly (\w+): /gm)]
  expect([reasons.length > 5, fields.length > 15]).toEqual([true, true])
  for (const [, name] of [...reasons, ...fields]) expect(page).toContain(`\`${name}\``)
  const channels = [...events.matchAll(/^ {2}'(drained:\w+)': /gm)].map(([, name]) => name as string)
  expect(channels.length).toBeGreaterThan(5)
  for (const channel of channels) expect(page).toContain(`\`${channel}\``)
})

test('docs/metrics.md has every instrument with its kind and unit', () => {
  const page = read('docs/metrics.md')
  const rows = [...page.matchAll(/^\| `([\w.]+)` +\| (\w+) +\| `([\w{}]+)`/gm)].map(([, ...row]) => row)
  const counted = measures.map(({ name, kind, unit }) => [name, kind, unit])
  const timed = timings.map(({ name }) => [name, 'histogram', 's'])
  expect(new Set(rows.map(String))).toEqual(new Set([...counted, ...timed].map(String)))
  expect(rows.length).toBe(counted.length + timed.length)
})

test('docs/register.md has every environment variable, with its option and default', () => {
  const page = read('docs/register.md')
  const rows = [...page.matchAll(/^\| `(DRAINED_\w+)` +\| `([\w.]+)` +\| [^|]+\| (.*?) *\|$/gm)]
  expect(Object.fromEntries(rows.map(([, name, option]) => [name, option]))).toEqual(
    Object.fromEntries(Object.entries(variables).map(([name, { option }]) => [name, option])),
  )
  const defaults: Record<string, number | boolean | string> = {
    ...clientDefaults,
    ...installDefaults,
    ...drainDefaults,
    ...queueDefaults,
  }
  for (const [, name, option = '', text] of rows) {
    const value = defaults[option.split('.').at(-1) ?? '']
    expect(text, name).toMatch(value === undefined ? /^no limit/ : `\`${String(value)}\``)
  }
})

test('every link of the documentation leads somewhere', () => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    ...fs.readdirSync(path.join(root, 'docs')).map((name) => `docs/${name}`),
  ]
  let links = 0
  for (const page of pages) {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
      links++
      expect(fs.existsSync(path.join(root, path.dirname(page), target as string)), `${page}: ${target}`).toBe(
        true,
      )
    }
  }
  expect(links).toBeGreaterThan(20)
})

test('the public names are these', () => {
  expect(Object.keys(drained).toSorted()).toEqual([
    'BodyGivenUpError',
    'BodyLeakedError',
    'BodyNotReplayableError',
    'BodyReclaimedError',
    'InvalidOptionError',
    'ResponseTooLargeError',
    'RetriedResponseError',
    'TimeoutError',
    'UnknownOriginError',
    'createClient',
    'createServices',
    'discard',
    'drain',
    'fetch',
    'install',
    'wrap',
  ])
})

test('the change log has an entry for what is not released', () => {
  expect(read('CHANGELOG.md')).toMatch(/## \[Unreleased\]\n\n### Added\n\n- /)
})

/** '256 KiB', '1 MiB+1', '10 MB/s' or '20 ms' as a number of bytes, bytes per millisecond or milliseconds. */
function amount(text: string): number | undefined {
  const [, number, unit = '', more] = /^([\d.]+) (\S+?)(\+1)?$/.exec(text) ?? []
  const scale = { KiB: 1024, MiB: 1024 ** 2, 'KB/s': 1, 'MB/s': 1_000, ms: 1, s: 1_000 }[unit]
  return scale === undefined ? undefined : Number(number) * scale + (more === undefined ? 0 : 1)
}

const worked = [...read('docs/decision.md').matchAll(/^\| (\d+ [KM]iB(?:\+1)?) .*\|$/gm)].map(([row]) =>
  row.split('|').map((each) => each.trim()),
)

test('docs/decision.md works some numbers out', () => {
  expect(worked.length).toBeGreaterThan(5)
})

test.each(worked)(
  'docs/decision.md: %s%s at %s, connection %s',
  (_, rest = '', speed = '', connection = '', ...more) => {
    const decision = decide({
      remaining: amount(rest),
      reusable: true,
      http2: false,
      eventStream: false,
      closing: false,
      connectMs: amount(connection),
      bytesPerMs: amount(speed),
      maxBytes: drainDefaults.maxBytes,
      maxTime: drainDefaults.maxTime,
    })
    const outcome = more[1] ?? ''
    expect(outcome).toMatch(decision.action === 'drain' ? /^drained/ : `closed (\`${decision.reason}\`)`)
  },
)
