/**
 * Where a call of `fetch` was made: captured in microseconds, put into words only for a body that outlives its turn. Frames of this library,
 * of Node and, where there is a choice, of packages are not what is named.
 */
import { fileURLToPath } from 'node:url'
import type { CallSite } from './events.ts'

/** A handler on the wire that may know where its call was made. */
export interface Traced {
  readonly trace?: Trace | undefined
}

/** Frames that are looked at: a wrapper around fetch and what calls it take about ten. Most of the cost is in the first. */
const depth = 16

/** One call. Until it is settled it refers to whoever made the call, and so must not be kept by what its Response may outlive. */
export class Trace {
  #captured: { readonly stack?: unknown } | undefined
  #site: CallSite | undefined

  /** @param caller the function whose caller is to be named */
  constructor(caller: object) {
    const captured = {}
    const { stackTraceLimit } = Error
    // `set` and not `=`: under --frozen-intrinsics it cannot be changed.
    Reflect.set(Error, 'stackTraceLimit', depth)
    Error.captureStackTrace(captured, caller as () => void)
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
    this.#captured = captured
  }

  /** Puts the stack into words and lets go of it: V8 keeps functions and receivers until then, and they may lead to the Response. */
  settle(): void {
    if (this.#captured === undefined) return
    try {
      // A program may format stacks by a function of its own.
      this.#site = siteIn(String(this.#captured.stack))
    } catch {
      // And that one may throw.
    }
    this.#captured = undefined
  }

  get site(): CallSite | undefined {
    this.settle()
    return this.#site
  }
}

/** `function (file:line:column)` */
export function textOf({ function: name, file, line, column }: CallSite): string {
  const place = `${file}:${line}:${column}`
  return name === undefined ? place : `${name} (${place})`
}

const bare = /^\s*at (?:async )?((?:[a-z][a-z0-9+.-]+:|\/|[a-z]:\\).*?):(\d+):(\d+)$/i
/** A name may have parentheses (that of a handler in a table of routes), and a path as well. */
const named = /^\s*at (?:async )?(.*) \(((?:[a-z][a-z0-9+.-]+:|\/|[a-z]:\\).*):(\d+):(\d+)\)$/i

/** Of a stack as V8 writes it: the first frame of the program itself, else the first that is not of this library or of Node. */
export function siteIn(stack: string): CallSite | undefined {
  let second: CallSite | undefined
  for (const text of stack.split('\n')) {
    const site = frameIn(text)
    if (site === undefined || site.file.startsWith('node:') || isOurs(site.file)) continue
    if (!/[/\\]node_modules[/\\]/.test(site.file)) return site
    second ??= site
  }
  return second
}

function frameIn(text: string): CallSite | undefined {
  const place = bare.exec(text)
  const [name, file, line, column] =
    place === null ? (named.exec(text)?.slice(1) ?? []) : [undefined, ...place.slice(1)]
  // Code without a file of its own (`<anonymous>`, eval) is nowhere to be looked up.
  if (file === undefined || file.endsWith('<anonymous>')) return undefined
  return { function: plain(name), file: pathOf(file), line: Number(line), column: Number(column) }
}

function plain(name: string | undefined): string | undefined {
  const short = name?.replace(/ \[as .*\]$/, '').replace(/^Object\./, '')
  return short === '<anonymous>' || short === '' ? undefined : short
}

function pathOf(file: string): string {
  try {
    return file.startsWith('file:') ? fileURLToPath(file.replace(/[?#].*$/, '')) : file
  } catch {
    return file
  }
}

/** In a bundle our frames are in the same file as everybody's. */
const isBundled = !/\/(?:src|dist)\/call-site\.[jt]s$/.test(import.meta.url)
/** Source maps turn one into the other. */
const folders = ['../src/', '../dist/'].map((folder) => pathOf(new URL(folder, import.meta.url).href))

const isOurs = (file: string): boolean => !isBundled && folders.some((folder) => file.startsWith(folder))
