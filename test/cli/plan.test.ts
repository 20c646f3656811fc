/** `drained plan`, and what the command line refuses. */
import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Load, needOf, supplies, useOf } from '../../src/cli/plan/need.ts'
import { duration, number, warningsOf } from '../../src/cli/plan/warnings.ts'
import { command, drained, main } from '../support/cli.ts'
import { needsTool } from '../support/tools.ts'

const load = (more: Partial<Load> = {}): Load => ({
  rate: 500,
  latency: 0.08,
  unread: 0,
  closed: 0,
  hold: Infinity,
  connections: Infinity,
  ...more,
})

describe('arithmetic', () => {
  test('calls at work are rate times latency, closed connections wait 60 s', () => {
    expect(needOf(load({ closed: 0.02 }))).toMatchObject({
      inFlight: 40,
      burst: 59,
      held: 0,
      opened: 10,
      timeWait: 600,
      sockets: 59,
      ports: 659,
      hangsAfter: undefined,
    })
  })

  test('470 connections a second to one endpoint use up the ports of Linux', () => {
    const [linux] = supplies as [(typeof supplies)[number]]
    expect(useOf(linux, load({ rate: 460, closed: 1, latency: 0.001 }), 1).share).toBeLessThan(1)
    expect(useOf(linux, load({ rate: 471, closed: 1, latency: 0.001 }), 1).share).toBeGreaterThan(1)
  })

  test('unread responses fill a bounded pool, and an unbounded one for ever', () => {
    expect(needOf(load({ unread: 0.01, connections: 50 }))).toMatchObject({
      hangsAfter: 10,
      sockets: 50,
      held: 50,
    })
    expect(needOf(load({ unread: 0.01 }))).toMatchObject({
      held: Infinity,
      sockets: Infinity,
      hangsAfter: undefined,
    })
    expect(needOf(load({ unread: 0.01, hold: 6 }))).toMatchObject({
      held: 30,
      sockets: 89,
      opened: 5,
      timeWait: 0,
    })
  })

  test('more load never needs less, and a limit of the pool is never passed', () => {
    const loads = fc.record({
      rate: fc.double({ min: 0.01, max: 10_000, noNaN: true }),
      latency: fc.double({ min: 0.001, max: 60, noNaN: true }),
      unread: fc.double({ min: 0, max: 0.5, noNaN: true }),
      closed: fc.double({ min: 0, max: 0.5, noNaN: true }),
      hold: fc.oneof(fc.constant(Infinity), fc.double({ min: 0.1, max: 600, noNaN: true })),
      connections: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 1_000 })),
    })
    fc.assert(
      fc.property(loads, fc.double({ min: 1, max: 10, noNaN: true }), (one, times) => {
        const [need, more] = [needOf(one), needOf({ ...one, rate: one.rate * times })]
        expect(need.sockets).toBeLessThanOrEqual(one.connections)
        expect(more.ports).toBeGreaterThanOrEqual(need.ports)
        const uses = supplies.map((supply) => useOf(supply, one, 3))
        expect(warningsOf(one, need, uses).join(' ')).not.toMatch(/NaN|undefined|Infinity/)
      }),
    )
  })

  const warned = (more: Partial<Load>, ports = 1e9): string => {
    const [supply] = supplies as [(typeof supplies)[number]]
    const all = load(more)
    return warningsOf(all, needOf(all), [useOf({ ...supply, ports }, all, 1)]).join('\n')
  }

  test('what unread responses hold is not there for calls', () => {
    // 80 at work and 75 held are more than 128, though each alone is less.
    const both = { rate: 100, latency: 0.8, unread: 0.5, hold: 1.5, connections: 128 }
    expect(needOf(load(both)).capacity).toBeCloseTo(128 / (0.8 + 0.5 * 1.5))
    // 82.6, rounded down: a most is none if it is too much.
    expect(warned(both)).toContain(
      'carries at most 82 calls a second; the queue grows without end. It needs 182.',
    )
    expect(warned({ ...both, connections: 170 })).toContain('is 92 % busy')
    expect(warned({ ...both, connections: 1_000 })).not.toContain('pool of')
  })

  test('nothing waits for ever for what is let go, and no pool is without end', () => {
    const held = { rate: 100, unread: 1, hold: 10, connections: 50 }
    expect(warned(held)).toMatch(/whole pool of 50, and calls wait until one is let go/)
    expect(warned({ ...held, hold: Infinity })).toMatch(/calls wait for ever/)
    expect(warned({ unread: 0.1 })).not.toMatch(/pool of/)
    // As many as are let go; ever more; none, since nothing is.
    expect(needOf(load(held)).opened).toBe(5)
    expect(needOf(load({ rate: 100, unread: 0.1 })).opened).toBe(10)
    expect(needOf(load({ ...held, hold: Infinity })).opened).toBe(0)
  })

  test('the last port is enough, and no number is rounded to another', () => {
    const fits = { rate: 100, closed: 1 }
    const { ports } = needOf(load(fits))
    expect(warned(fits, ports)).toMatch(/100 % of its \d+ ports are taken; none is left/)
    expect(warned(fits, ports - 1)).toContain('Connections will fail')
    expect([1_000 * 0.07, 0.02, 0.96, 1e-9, 0, 12.3, 2.25].map(number)).toEqual([
      '70',
      '0.02',
      '1.0',
      '< 0.001',
      '0',
      '13',
      '2.3',
    ])
    expect([90, 5_400, 86_400, 86_400 * 365].map(duration)).toEqual([
      '90 s',
      '90 minutes',
      '24 hours',
      '365 days',
    ])
  })

  test("a NAT gateway of Azure's has 64,512 ports, and takes 50,000 of them to one endpoint", () => {
    const gateway = supplies.find(({ name }) => name.startsWith('Azure NAT'))
    expect(gateway?.ports).toBe(50_000)
  })

  test('docs/ports.md has every supply', () => {
    const page = fs.readFileSync(path.join(import.meta.dirname, '../../docs/ports.md'), 'utf8')
    for (const { name, ports, keeps } of supplies)
      expect(page).toMatch(new RegExp(`\\| ${name} +\\| ${ports} +\\| ${keeps} s +\\|`))
  })
})

describe('the command', () => {
  test('what fits, and what does not', async () => {
    const fits = await drained(['plan', '--rate', '5', '--latency', '80'])
    expect(fits).toMatchObject({ code: 0, stderr: '' })
    expect(fits.stdout).toMatch(/It fits\.\n$/)
    const leaks = await drained([
      'plan',
      '--rate',
      '50',
      '--latency',
      '80',
      '--unread',
      '5%',
      '--connections',
      '128',
    ])
    expect(leaks.code).toBe(1)
    expect(leaks.stdout).toContain('after 52 s they hold the whole pool of 128, and')
    const shared = ['plan', '--rate', '50', '--latency=80', '--closed=1', '--instances=20', '--json']
    const json = JSON.parse((await drained(shared)).stdout) as { need: unknown; warnings: string[] }
    expect(json.need).toMatchObject({ inFlight: 4, timeWait: 3_000 })
    expect(json.warnings.join('\n')).toMatch(
      /AWS NAT gateway, one address: \d+ ports are needed, 55000 are there/,
    )
  })

  test.each([
    [[], /^drained <command>/],
    [['heal'], '"heal" is not a command; accepted are run, doctor, plan (drained --help)'],
    [['plan'], '--rate is needed: drained plan --rate N --latency MS'],
    [['plan', '--rate', 'many'], '--rate must be a number from 0.001 to 10000000, got "many"'],
    [['plan', '--rate'], '--rate needs a value, as in --rate=VALUE'],
    [['plan', '--speed', '1'], '--speed is not an option; accepted are --rate, --latency, '],
    [['plan', '--json=yes'], '--json takes no value, got "yes"'],
    [['plan', 'x'], 'drained plan takes options only, got "x"'],
    [
      ['plan', '--rate', '1', '--latency', '1', '--unread', '120%'],
      '--unread must be a share such as 5% or 0.05',
    ],
    [
      ['plan', '--rate', '1', '--latency', '1', '--unread', '0.6', '--closed', '0.6'],
      'together must be at most 100%',
    ],
    [['plan', '--rate', '1', '--latency', '1', '--hold', '5'], '--hold is only for --unread'],
    [['doctor', '-1'], '-1 is not an option; accepted are --watch, '],
    [['doctor', '1.5'], 'pid must be a whole number from 1 to 4194304, got "1.5"'],
    [['doctor', '1', '2'], 'drained doctor takes one pid, got 2'],
    [['doctor', '--watch'], '--watch needs a pid'],
    [['doctor', '1', '--count', '3'], '--count is only for --watch'],
    [['doctor', '1', '--watch', '--interval', '0'], '--interval must be a number from 0.1 to 3600, got "0"'],
    [['doctor', '--__proto__'], '--__proto__ is not an option'],
  ])('refuses %j', async (args, message) => {
    const { code, stdout, stderr } = await drained(args)
    expect([code, stdout]).toEqual([64, ''])
    expect(stderr).toMatch(message)
  })

  test.runIf(needsTool('/dev/full'))('what cannot be printed is no warning', async () => {
    const shell = ['-c', '"$0" "$1" plan --rate 5 --latency 80 >/dev/full', process.execPath, main]
    expect(await command('sh', shell)).toMatchObject({
      code: 70,
      stderr: expect.stringMatching(/^drained: ENOSPC.*\n$/),
    })
  })

  test('--help and --version answer', async () => {
    for (const args of [['--help'], ['doctor', '--help'], ['plan', '--help'], ['plan', '--json', '--help']]) {
      const { code, stdout, stderr } = await drained(args)
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).toMatch(/^drained /)
    }
    expect((await drained(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('elsewhere than on Linux, and on a Node.js that is too old, it says so', async () => {
    const pretend = (code: string): string[] => [
      '--import',
      `data:text/javascript,${encodeURIComponent(code)}`,
    ]
    expect(
      await drained(
        ['doctor', '1'],
        pretend(`Object.defineProperty(process, 'platform', { value: 'darwin' })`),
      ),
    ).toEqual({
      code: 69,
      stdout: '',
      stderr:
        'drained doctor reads /proc, which only Linux has; this is darwin. netstat -an shows the same sockets.\n',
    })
    const old = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } })`
    expect(await drained(['plan'], pretend(old))).toMatchObject({
      code: 70,
      stderr: 'drained: drained needs Node.js 22.19 or newer; this is 20.11.0\n',
    })
  })
})
