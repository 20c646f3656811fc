/** The clients compared with are installed here, on first use, so that nobody who uses the library has to. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'

const here = import.meta.dirname
const source = path.join(here, '../src/index.ts')

type Package = { version: string; dependencies?: Record<string, string> }
const read = (file: string): Package => JSON.parse(fs.readFileSync(file, 'utf8')) as Package
const wanted = read(path.join(here, 'package.json')).dependencies ?? {}

function isInstalled([name, version]: [string, string]): boolean {
  const file = path.join(here, 'node_modules', name, 'package.json')
  return fs.existsSync(file) && read(file).version === version
}

const undiciOf = (file: string): string => createRequire(file).resolve('undici')

export function install(): void {
  // Peers and drained must use the same copy of undici: the one above this directory.
  const hasOwnUndici = fs.existsSync(path.join(here, 'node_modules/undici'))
  if (Object.entries(wanted).every(isInstalled) && !hasOwnUndici) return
  execFileSync('npm', ['ci', '--no-fund', '--no-audit', '--engine-strict=false'], {
    cwd: here,
    stdio: ['ignore', process.stderr, process.stderr],
  })
}

export function versions(): Record<string, string> {
  if (undiciOf(path.join(here, 'main.ts')) !== undiciOf(source))
    throw new Error('drained and its peers would run on two copies of undici')
  const undici = read(path.join(path.dirname(undiciOf(source)), 'package.json')).version
  return {
    node: process.version,
    'undici (one copy for drained and its peers)': undici,
    'undici in Node (global fetch, ky)': process.versions.undici ?? 'unknown',
    ...wanted,
    cpus: String(os.availableParallelism()),
    'load when it began': (os.loadavg()[0] ?? 0).toFixed(1),
  }
}
