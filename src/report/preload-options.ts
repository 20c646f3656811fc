/** What `drained run` tells its part in the program, in the query of that module's URL: the environment is for the program alone. */

export interface ReportOptions {
  /** On standard error. */
  readonly print: 'text' | 'json' | 'nothing'
  /** Absolute path of the page, if one is wanted. */
  readonly html?: string | undefined
  /** The process to report on: itself, */
  readonly pid?: number | undefined
  /** or a child of this one. */
  readonly parent?: number | undefined
}

export function urlWith(module: URL, options: ReportOptions): string {
  const url = new URL(module)
  url.searchParams.set('options', JSON.stringify(options))
  return url.href
}

export function optionsFrom(url: string): ReportOptions {
  return JSON.parse(new URL(url).searchParams.get('options') ?? '{"print":"nothing"}') as ReportOptions
}
