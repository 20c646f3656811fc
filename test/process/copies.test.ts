/** The built package beside the sources: two copies of the library in one process install once and drain once. */
import { execFile, execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createOrigin } from '../support/origin.ts'
import { serveShapes } from '../support/shapes.ts'

const root = path.join(import.meta.dirname, '../..')
let copy: string

beforeAll(() => {
  copy = fs.mkdtempSync(path.join(os.tmpdir(), 'drained-'))
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'))
  fs.copyFileSync(path.join(root, 'package.json'), path.join(copy, 'package.json'))
  const tsc = path.join(root, 'node_modules/.bin/tsc')
  execFileSync(
    process.execPath,
    [fs.realpathSync(tsc), '-p', 'tsconfig.build.json', '--outDir', `${copy}/dist`],
    {
      cwd: root,
    },
  )
}, 60_000)
afterAll(() => fs.rmSync(copy, { recursive: true }))

/** What a script prints, run in the copy. */
function run(args: readonly string[], script: string): Promise<unknown> {
  const env = { PATH: process.env['PATH'] }
  return new Promise((resolve, reject) => {
    const all = [...args, '--input-type=module', '--eval', script]
    execFile(process.execPath, all, { cwd: copy, env, timeout: 30_000 }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(stderr))
      else resolve(JSON.parse(stdout))
    })
  })
}

test('--import drained/register, by the name of the built package', async () => {
  await using origin = await createOrigin(serveShapes)
  const script = `
    import { install } from 'drained'
    const kept = []
    for (let i = 0; i < 20; i++) kept.push(await fetch('${origin.url}/1%20MiB'))
    console.log(JSON.stringify(install().stats().process.sockets.opened))
    process.exit(0)`
  const opened = await run(['--import', 'drained/register'], script)
  expect(opened).toBe(origin.accepted)
  expect(origin.accepted).toBeLessThanOrEqual(8)
})

test('two copies: the second finds what the first has installed, and no body is drained twice', async () => {
  await using origin = await createOrigin(serveShapes)
  const script = `
    const one = await import(${JSON.stringify(pathToFileURL(path.join(root, 'src/index.ts')).href)})
    const two = await import('drained')
    const undo = one.install()
    const same = two.install() === undo
    const texts = []
    for (const call of [fetch, one.fetch, two.fetch]) texts.push(await (await call('${origin.url}/ok')).text())
    await new Promise((resolve) => setImmediate(resolve))
    const { sockets, bodies } = undo.stats().process
    two.install()()
    const again = two.install()
    texts.push(await (await fetch('${origin.url}/ok')).text())
    const counts = [bodies.read, undo.stats().process.bodies.read, again.stats().process.bodies.read]
    console.log(JSON.stringify({ same, different: one !== two && one.fetch !== two.fetch, texts, opened: sockets.opened, counts }))
    process.exit(0)`
  expect(await run([], script)).toEqual({
    same: true,
    different: true,
    texts: ['ok', 'ok', 'ok', 'ok'],
    opened: 1,
    counts: [3, 3, 1],
  })
})
