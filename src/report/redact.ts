/** Takes credentials out of text of any kind: a line of source, a path, a name. Never throws. Pure. */
import { redactUrl } from '../events.ts'

/** Rather too much than too little: nobody needs these values to find a line. */
const names =
  'authorization|signature|sig|token|secret|passw(?:or)?d|passphrase|pwd|credentials?|(?:access|account|api|shared|private|secret|subscription|functions)[-_]?key(?:[-_]?id)?|key|auth|jwt|assertion|sas|pass'

/** Each in a time that grows with the text, and not with its square: whoever sends a path may make it long. */
const patterns: readonly [RegExp, string | ((...parts: string[]) => string)][] = [
  // Before the URLs, which may hold one.
  [/\b(bearer|basic|digest|sharedkey(?:lite)?|aws4-hmac-sha256|negotiate)(\s+)[^'"`\s,;)]+/gi, '$1$2***'],
  [/[a-z][a-z0-9+.-]{0,40}:\/\/[^\s'"`<>]*/gi, (url) => redactUserInfo(redactUrl(url))],
  // A query without its URL.
  [/(?<=[?&])[^=&?\s'"`]+=[^&\s'"`]*/g, (pair) => redactUrl(`?${pair}`).slice(1)],
  // `token = 'abc'`, `"x-api-key": "abc"`, `AccountKey=abc;`
  [
    new RegExp(
      `((?:${names})['"\`]?\\s*[:=]\\s*)('(?:[^'\\\\]|\\\\.)*'?|"(?:[^"\\\\]|\\\\.)*"?|\`(?:[^\`\\\\]|\\\\.)*\`?)`,
      'gi',
    ),
    (_, name = '', text = '') => `${name}${text[0]}***${text[0]}`,
  ],
  [
    new RegExp(`((?:AccountKey|SharedAccessSignature|SharedAccessKey|password|pwd)=)[^;\\s'"\`]+`, 'gi'),
    '$1***',
  ],
  // JSON Web Tokens (only in what has a dot behind it, so that nothing is looked through twice), AWS access keys, and tokens that say what they are.
  [/(?<![\w-])(?=[\w-]+\.[\w-])((?:[\w-]*?[-_])??)eyJ[\w-]+\.[\w-]+\.?[\w-]*/g, '$1***'],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, '***'],
  [/\b(?:gh[pousr]_|github_pat_|xox[abprs]-|sk-|glpat-|npm_)[\w-]{10,}/g, '***'],
]

export function redactText(text: string): string {
  let shown = text
  for (const [pattern, by] of patterns) {
    shown = typeof by === 'string' ? shown.replace(pattern, by) : shown.replace(pattern, by)
  }
  return shown
}

/** The same with every text in a value that JSON could hold. */
export function redactAll<T>(value: T): T {
  if (typeof value === 'string') return redactText(value) as T
  if (Array.isArray(value)) return value.map((each: unknown) => redactAll(each)) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, redactAll<unknown>(each)]),
  ) as T
}

/** A password may hold a slash or a question mark that nobody has encoded: up to the last `@` of what has a colon before it. */
function redactUserInfo(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^@:\s/?#]*:[^@\s]*@/i, '$1***@')
}
