/** The page, in a browser: its charts are there, nothing is asked of the network, and a phone needs no sideways scrolling. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { pageReport } from '../../src/report/page.ts'
import { type Browser, chromium, startChromium } from '../support/chromium.ts'
import { isCI } from '../support/tools.ts'
import { emptyReport, exampleReport, leak } from './support.ts'

// A browser starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'drained-page-'))
function pageOf(name: string, html: string): string {
  const file = path.join(folder, name)
  fs.writeFileSync(file, html)
  return pathToFileURL(file).href
}

afterAll(() => fs.rmSync(folder, { recursive: true }))

test('nothing in the page can ask for anything', () => {
  const page = pageReport(exampleReport())
  expect(page).toContain(`default-src 'none'`)
  expect(page).not.toMatch(/<(?:script|iframe|img|object|embed|form)\b|\bon\w+=|url\(|@import|src=/i)
  expect([...page.matchAll(/href="([^"]*)"/g)].map(([, to]) => to)).toEqual(['data:,'])
})

if (chromium === undefined && !isCI) console.warn('Tests that take Chromium are skipped: it is not installed')

// In CI a browser that is missing is a failure.
describe.skipIf(chromium === undefined && !isCI)('in Chromium', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await startChromium(chromium ?? 'chromium')
  })
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]()
  })

  const reports = {
    busy: exampleReport(),
    idle: emptyReport(),
    long: {
      ...exampleReport(),
      program: 'a'.repeat(300),
      origins: exampleReport().origins.map((row) => ({
        ...row,
        origin: `https://${'x'.repeat(200)}.example`,
      })),
      leaks: [{ ...leak, path: `/${'y'.repeat(500)}`, callSite: 'z'.repeat(300), source: 'w'.repeat(200) }],
    },
  }

  for (const [name, report] of Object.entries(reports)) {
    for (const view of [
      { width: 1200 },
      { width: 760 },
      { width: 360, mobile: true },
      { width: 360, mobile: true, dark: true },
    ]) {
      test(`${name}, ${JSON.stringify(view)}: three charts with a title, no complaint, no request, no sideways scrolling`, async () => {
        const page = await browser.open(pageOf('page.html', pageReport(report)), view)
        expect(page.complaints).toEqual([])
        expect(page.requested).toEqual([])
        const seen = await page.evaluate<{ charts: string[]; width: number; tables: number; ids: number }>(`({
          charts: [...document.querySelectorAll('figure svg')].map((svg) => svg.getAttribute('aria-label') ?? document.getElementById(svg.getAttribute('aria-labelledby')).textContent),
          width: document.documentElement.scrollWidth,
          tables: [...document.querySelectorAll('figure')].filter((each) => each.querySelector('table, .none')).length,
          ids: [...document.querySelectorAll('[id]')].length - new Set([...document.querySelectorAll('[id]')].map(({ id }) => id)).size,
        })`)
        expect(seen.charts).toHaveLength(3)
        for (const title of seen.charts) expect(title).toMatch(/\w{3}/)
        expect(seen).toMatchObject({ width: view.width, tables: 3, ids: 0 })
      })
    }
  }

  test('light and dark are different, and text stands out in both', async () => {
    const url = pageOf('colours.html', pageReport(exampleReport()))
    const backgrounds: string[] = []
    for (const dark of [false, true]) {
      const page = await browser.open(url, { width: 900, dark })
      const pairs = await page.evaluate<[string, string][]>(`
        [...document.querySelectorAll('h1,.meta,dt,.verdict li,.note,th,td,.y span,.steps span,code,small')].map((each) => {
          let behind = each
          while (behind !== document.body && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement
          return [getComputedStyle(each).color, getComputedStyle(behind).backgroundColor]
        })`)
      expect(pairs.length).toBeGreaterThan(30)
      for (const [text, behind] of pairs)
        expect(contrast(text, behind), `${text} on ${behind}`).toBeGreaterThan(4.5)
      backgrounds.push(await page.evaluate<string>('getComputedStyle(document.body).backgroundColor'))
    }
    expect(new Set(backgrounds).size).toBe(2)
  })

  test('the chart over time shows the highest values', async () => {
    const page = await browser.open(pageOf('time.html', pageReport(exampleReport())), { width: 1200 })
    const legend = await page.evaluate<string>(`document.querySelector('.legend').textContent`)
    expect(legend.replaceAll(/\s+/g, ' ')).toContain(
      'open connections, at most 64 requests waiting, at most 57',
    )
    const box = await page.evaluate<number[]>(
      `(({ width, height }) => [width, height])(document.querySelector('path.line.sockets').getBoundingClientRect())`,
    )
    expect(Math.min(...box)).toBeGreaterThan(100)
  })
})

/** Ratio of the Web Content Accessibility Guidelines. */
function contrast(one: string, other: string): number {
  const [light = 1, dark = 1] = [one, other].map(luminance).toSorted((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = (colour.match(/[\d.]+/g) ?? []).map((each) => {
    const value = Number(each) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
