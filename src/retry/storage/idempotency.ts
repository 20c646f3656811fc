/**
 * Which requests to Google Cloud Storage may be sent twice: a table after Google's own, for its JSON API and its XML API. Pure.
 * @see https://cloud.google.com/storage/docs/retry-strategy#idempotency
 */
import type { AttemptOutcome } from '../../options/retry.ts'

/** What an operation asks of its request to be idempotent. */
interface Asked {
  readonly headers: Headers
  readonly query: URLSearchParams
}
type Condition = (asked: Asked) => boolean

const always: Condition = () => true
const hasNumber = (query: URLSearchParams, name: string): boolean => /^\d+$/.test(query.get(name) ?? '')
const ifGeneration: Condition = ({ query }) => hasNumber(query, 'ifGenerationMatch')
const ofGeneration: Condition = (asked) => ifGeneration(asked) || hasNumber(asked.query, 'generation')
const ifEtag: Condition = ({ headers }) => !['', '*'].includes(headers.get('if-match') ?? '')
const ifMetageneration: Condition = (asked) =>
  hasNumber(asked.query, 'ifMetagenerationMatch') || ifEtag(asked)

/** Methods, path below /storage/v1/, condition. What is not here (ACLs, new HMAC keys and notifications, batches) is never idempotent. */
const operations: readonly (readonly [methods: string, path: RegExp, condition: Condition])[] = [
  ['POST', /^b$/, always],
  ['DELETE', /^b\/[^/]+$/, always],
  ['PUT PATCH', /^b\/[^/]+$/, ifMetageneration],
  ['POST', /^b\/[^/]+\/lockRetentionPolicy$/, always],
  ['PUT', /^b\/[^/]+\/iam$/, ifEtag],
  ['DELETE', /^b\/[^/]+\/notificationConfigs\/[^/]+$/, always],
  ['POST', /^b\/[^/]+\/o$/, ifGeneration],
  ['DELETE', /^b\/[^/]+\/o\/[^/]+$/, ofGeneration],
  ['PUT PATCH', /^b\/[^/]+\/o\/[^/]+$/, ifMetageneration],
  ['POST', /^b\/[^/]+\/o\/[^/]+\/compose$/, ifGeneration],
  ['POST', /^b\/[^/]+\/o\/[^/]+\/(copyTo|rewriteTo)\/b\/[^/]+\/o\/[^/]+$/, ifGeneration],
  ['DELETE', /^projects\/[^/]+\/hmacKeys\/[^/]+$/, always],
  ['PUT', /^projects\/[^/]+\/hmacKeys\/[^/]+$/, ifEtag],
]

const reads: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

export function isIdempotent({ method, url, headers }: AttemptOutcome): boolean {
  if (reads.has(method)) return true
  const { pathname, searchParams: query } = URL.parse(url) ?? {}
  if (pathname === undefined || query === undefined) return false
  // A part of an upload that has begun: what is there already is not written again, and cancelling it twice is cancelling it.
  if (query.has('upload_id')) return method === 'PUT' || method === 'DELETE'
  const path = /^\/(?:(?:resumable\/)?upload\/|download\/)?storage\/v1\/(.+)$/.exec(pathname)?.[1]
  const asked = { headers, query }
  if (path === undefined) return isIdempotentXml(method, asked)
  return operations.some(
    ([methods, operation, condition]) =>
      methods.split(' ').includes(method) && operation.test(path) && condition(asked),
  )
}

/** Its preconditions are headers; a part of a multipart upload is named by its number. */
function isIdempotentXml(method: string, { headers, query }: Asked): boolean {
  if (method !== 'PUT' && method !== 'DELETE') return false
  if (query.has('acl') || query.has('defaultObjectAcl')) return false
  if (query.has('uploadId')) return true
  if (/^\d+$/.test(headers.get('x-goog-if-generation-match') ?? '')) return true
  return method === 'DELETE' && hasNumber(query, 'generation')
}
