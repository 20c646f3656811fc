/** Response headers as Node's own HTTP client would report them, in both shapes that Azure SDKs read. */
import { joined } from '../node-headers.ts'

/** As a dispatcher reports them. */
export type WireHeaders = Record<string, string | string[] | undefined>

function valueOf(name: string, value: string | string[] | undefined): string | undefined {
  if (!Array.isArray(value)) return value
  // The SDK's own client takes the first cookie of those that Node keeps.
  return name === 'set-cookie' ? value[0] : joined(name, value)
}

interface Header {
  readonly name: string
  readonly value: string
}

/** `HttpHeaders` of core-rest-pipeline (`has`, `delete`, `toJSON`) and of core-http-compat (`contains`, `remove`, `toJson`). */
export class ResponseHeaders {
  readonly #headers = new Map<string, Header>()

  /** @param wire by lower-case names */
  constructor(wire: WireHeaders) {
    for (const name in wire) {
      const value = valueOf(name, wire[name])
      // The SDK's own client leaves out what is empty.
      if (value) this.#headers.set(name, { name, value })
    }
  }

  get(name: string): string | undefined {
    return this.#headers.get(name.toLowerCase())?.value
  }

  has(name: string): boolean {
    return this.#headers.has(name.toLowerCase())
  }

  set(name: string, value: string | number | boolean): void {
    const text = String(value)
      .trim()
      .replace(/[\r\n]/g, '')
    this.#headers.set(name.toLowerCase(), { name, value: text })
  }

  delete(name: string): void {
    this.#headers.delete(name.toLowerCase())
  }

  toJSON({ preserveCase = false }: { preserveCase?: boolean } = {}): Record<string, string> {
    const result: Record<string, string> = {}
    for (const [lower, { name, value }] of this.#headers) result[preserveCase ? name : lower] = value
    return result
  }

  toString(): string {
    return JSON.stringify(this.toJSON({ preserveCase: true }))
  }

  *[Symbol.iterator](): IterableIterator<[string, string]> {
    for (const { name, value } of this.#headers.values()) yield [name, value]
  }

  // ---- the same as core-http called it

  contains(name: string): boolean {
    return this.has(name)
  }

  remove(name: string): boolean {
    return this.#headers.delete(name.toLowerCase())
  }

  toJson(options?: { preserveCase?: boolean }): Record<string, string> {
    return this.toJSON(options)
  }

  rawHeaders(): Record<string, string> {
    return this.toJSON({ preserveCase: true })
  }

  headersArray(): Header[] {
    return [...this.#headers.values()]
  }

  headerNames(): string[] {
    return this.headersArray().map(({ name }) => name)
  }

  headerValues(): string[] {
    return this.headersArray().map(({ value }) => value)
  }

  clone(): ResponseHeaders {
    const copy = new ResponseHeaders({})
    for (const [name, value] of this) copy.set(name, value)
    return copy
  }
}
