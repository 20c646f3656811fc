/** The parts of a report that only compute. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import type { LeakEvent } from '../../src/events.ts'
import { share, ticksTo, timesTo } from '../../src/report/charts.ts'
import { Leaks, lineIn, linesOf } from '../../src/report/leaks.ts'
import type { LeakReport, Report, Sample } from '../../src/report/model.ts'
import { pageReport } from '../../src/report/page.ts'
import { Series, thinned } from '../../src/report/series.ts'
import { Tally } from '../../src/report/tally.ts'
import { textReport } from '../../src/report/text.ts'
import { addWait, noWaits, sumOfWaits } from '../../src/report/waits.ts'
import { bytes, duration, stepNames } from '../../src/report/words.ts'
import { emptyReport, exampleReport } from './support.ts'

const place = { client: 'c', origin: 'http://h' }
const most = (samples: readonly Sample[]): number => Math.max(...samples.map(({ sockets }) => sockets))

test('a series of any length is bounded, keeps its peak and its end, and stays in order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.nat(), (count, seed) => {
      const series = new Series()
      const peak = seed % count
      for (let i = 0; i < count; i++) series.add({ at: i + 1, sockets: i === peak ? 99 : i % 7, waiting: 0 })
      const all = series.all()
      expect(all.length).toBeLessThanOrEqual(601)
      expect(most(all)).toBe(99)
      expect(all.at(-1)?.at).toBe(count)
      for (const [i, { at }] of all.entries()) expect(at).toBeGreaterThan(all[i - 1]?.at ?? 0)
      expect(thinned(all, 24).length).toBeLessThanOrEqual(24)
      expect(most(thinned(all, 24))).toBe(99)
    }),
    { numRuns: 50 },
  )
})

test('every wait is in one step, and the sum, the count and the longest are exact', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1e6 })), (all) => {
      const waits = all.reduce(addWait, noWaits)
      expect(waits.buckets.reduce((a, b) => a + b)).toBe(all.length)
      expect(waits).toMatchObject({
        count: all.length,
        total: all.reduce((a, b) => a + b, 0),
        longest: Math.max(0, ...all),
      })
      expect(sumOfWaits([waits, noWaits, waits]).count).toBe(2 * all.length)
    }),
  )
  expect([0.5, 1, 9, 10, 10_000].reduce(addWait, noWaits).buckets).toEqual([1, 2, 1, 0, 0, 1])
  expect(stepNames).toEqual(['< 1 ms', '1–10 ms', '10–100 ms', '100 ms–1 s', '1–10 s', '> 10 s'])
})

test('more origins than fit are counted together', () => {
  const tally = new Tally()
  for (let i = 0; i < 1_000; i++)
    tally.onWait({
      client: 'c',
      origin: `http://h${i}`,
      waited: 1,
      connection: i % 2 === 0 ? 'opened' : 'none',
    })
  const origins = tally.origins()
  expect(origins).toHaveLength(201)
  expect(origins[0]).toMatchObject({ origin: '(other origins)', requests: 400, unsent: 400 })
  expect(tally.total()).toMatchObject({ requests: 500, unsent: 500, waits: { count: 1_000 } })
})

test('connections are open between their two events, and the peak is the most at once', () => {
  const tally = new Tally()
  // Opened before anybody listened.
  tally.onConnection({ ...place, state: 'closed', reset: true })
  for (let i = 0; i < 3; i++) tally.onConnection({ ...place, state: 'opened', reset: false })
  for (let i = 0; i < 2; i++) tally.onConnection({ ...place, state: 'closed', reset: i === 0 })
  expect(tally.takePeak()).toBe(3)
  expect(tally.takePeak()).toBe(1)
  expect(tally.total().sockets).toEqual({ opened: 3, reused: 0, reset: 1, open: 1, most: 3 })
})

test('only what was captured is a call site, and where Node hides the others it is said how to see them', () => {
  const [one, , unknown] = exampleReport().leaks as [LeakReport, LeakReport, LeakReport]
  const how = /DRAINED_FETCH=true puts drained(?:'|&#39;)s fetch in its place/
  const shown = (leaks: LeakReport[], more: Partial<Report> = {}): [string, boolean] => {
    const report = { ...exampleReport(), leaks, ...more }
    const [text, page] = [textReport(report), pageReport(report)]
    expect(page.match(how) === null).toBe(text.match(how) === null)
    const [, places = ''] = /forgotten, at (.*): read/.exec(text) ?? []
    expect(page).toContain(`or more, at ${places}`)
    return [places, how.test(text)]
  }
  const ofNode = { ...unknown, client: 'process' }
  expect(shown([one])).toEqual(['1 call site', false])
  expect(shown([one, one], { moreLeaks: 3 })).toEqual(['2 call sites and 3 more places', false])
  expect(shown([one, ofNode], { moreLeaks: 1 })).toEqual([
    '1 call site, others that were not captured and 1 more place',
    true,
  ])
  expect(shown([one, ofNode])).toEqual(['1 call site and others that were not captured', true])
  expect(shown([ofNode])).toEqual(['call sites not captured', true])
  expect(shown([ofNode], { hasNodeFetch: false })).toEqual(['call sites not captured', false])
  // Of node:http and of clients it is not Node's fetch that hides them.
  expect(shown([unknown, { ...unknown, client: 'http' }])).toEqual(['call sites not captured', false])
})

const leak: LeakEvent = {
  ...place,
  method: 'GET',
  path: '/orders/17?page=2',
  status: 200,
  foundBy: 'collector',
  age: 5,
  received: 10,
  read: 0,
  unread: 10,
  heldConnection: true,
  count: 1,
  callSite: undefined,
  site: undefined,
}

test('leaks are one per call site, or per shape of request, with the highest count told', () => {
  const leaks = new Leaks()
  leaks.onLeak(leak)
  leaks.onLeak({ ...leak, path: '/orders/18', count: 10 })
  leaks.onLeak({ ...leak, callSite: 'f (a.js:1:1)', count: 100 })
  leaks.onLeak({ ...leak, path: '/other', callSite: 'f (a.js:1:1)', count: 1 })
  expect(leaks.all().map(({ count, callSite }) => [count, callSite])).toEqual([
    [100, 'f (a.js:1:1)'],
    [10, undefined],
  ])
  for (let i = 0; i < 300; i++) leaks.onLeak({ ...leak, callSite: `g (b.js:${i}:1)` })
  for (const count of [10, 100]) leaks.onLeak({ ...leak, callSite: 'g (b.js:299:1)', count })
  expect(leaks.all()).toHaveLength(200)
  expect(leaks.more).toBe(102)
})

test('a line of source is read where there is one, trimmed and not longer than a line', () => {
  const file = path.join(os.tmpdir(), `drained-source-${process.pid}.js`)
  fs.writeFileSync(file, `one\n   two()   \n${'x'.repeat(5_000)}`)
  const at = (line: number, name = file) => lineIn(linesOf(name), line)
  expect([at(2), at(2, `file://${file}`)]).toEqual(['two()', 'two()'])
  expect(at(3)?.length).toBe(201)
  for (const name of ['/no/such/file', os.tmpdir(), 'data:text/javascript,1', 'file://%', ''])
    expect(at(1, name)).toBeUndefined()
  expect(at(99) ?? '').toBe('')
  fs.rmSync(file)
})

test('a file is read once for all leaks in it, and what is no file is not read', () => {
  const file = path.join(os.tmpdir(), `drained-once-${process.pid}.js`)
  fs.writeFileSync(file, 'one()\ntwo()')
  const read = vi.spyOn(fs, 'readFileSync')
  try {
    const leaks = new Leaks()
    for (const [at, name] of [file, `file://${file}`, '/dev/null'].entries())
      for (const line of [1, 2]) {
        const site = { function: undefined, file: name, line, column: 1 }
        leaks.onLeak({ ...leak, callSite: `f (${name}:${line}:1)`, site, count: 100 - 10 * at - line })
      }
    expect(leaks.all().map(({ source }) => source)).toEqual([
      'one()',
      'two()',
      'one()',
      'two()',
      undefined,
      undefined,
    ])
    // Whoever reads a device, or a pipe, may wait for ever.
    expect(read.mock.calls.map(([name]) => name)).toEqual([file, file])
  } finally {
    read.mockRestore()
    fs.rmSync(file)
  }
})

test('axes begin at 0, end at or beyond what is shown, and have few steps', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), (top) => {
      const ticks = ticksTo(top)
      expect(ticks[0]).toBe(0)
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(top)
      expect(ticks.length).toBeLessThanOrEqual(9)
      for (const tick of ticks) expect(tick).toBe(Math.round(tick))
      const times = timesTo(top / 1_000)
      expect(times.length).toBeGreaterThanOrEqual(3)
      expect(times.length).toBeLessThanOrEqual(9)
      expect(times.at(-1)).toBeLessThanOrEqual(top / 1_000)
    }),
  )
  // No two of them may look the same, and none other than it is.
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), (end) => {
      const labels = timesTo(end).map((at) => duration(at * 1_000))
      expect(new Set(labels).size).toBe(labels.length)
    }),
  )
  expect(timesTo(200).map((at) => duration(at * 1_000))).toEqual(['0 ms', '60 s', '2 min', '3 min'])
  expect(timesTo(100)).toEqual([0, 20, 40, 60, 80, 100])
})

test('numbers are written to be read', () => {
  expect([0.034, 4.26, 99.6, 1_250, 120_000].map(duration)).toEqual([
    '0.03 ms',
    '4.3 ms',
    '100 ms',
    '1.3 s',
    '2 min',
  ])
  expect([1, 512, 1_536, 10_485_760].map(bytes)).toEqual(['1 byte', '512 bytes', '1.5 KiB', '10 MiB'])
  expect([share(0, 9), share(1, 900), share(899, 900), share(9, 9), share(1, 2)]).toEqual([
    '0 %',
    '< 1 %',
    '> 99 %',
    '100 %',
    '50 %',
  ])
})

test('the text says what is wrong, where, and with which line of source', () => {
  const text = textReport(exampleReport())
  expect(text).toContain(
    '! At least 12 bodies were forgotten, at 2 call sites and others that were not captured:',
  )
  expect(text).toContain(
    'forgotten 10 times or more at loadReport (/srv/app/src/reports/load-report.js:41:26)\n      const response',
  )
  expect(text).toContain('57 requests waited for one of 64 connections (limit 64)')
  expect(text).toMatch(/https:\/\/orders\.internal\.example:8443 +orders +96 +6 +94/)
  expect(text).toContain('\n  forgotten once or more, call site not captured\n')
  expect(textReport(emptyReport())).toContain('no request that drained has seen')
  // Of a fetch of somebody else's there are bodies, and no waits.
  const tally = new Tally()
  tally.onBody({ ...place, outcome: 'read', reason: 'complete', read: 1, drained: 0, unread: 0 })
  const foreign = textReport({ ...emptyReport(), total: tally.total(), origins: tally.origins() })
  expect(foreign).not.toContain('no request that drained has seen')
  expect(foreign).not.toContain('waited for a connection')
  expect(foreign).toContain('1 body: 1 read, 0 drained, 0 closed')
})
