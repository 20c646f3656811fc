/** The code of an error as S3 sends it, in the XML of the body: read from a clone, within bounds. */
import type { AttemptOutcome } from '../../options/retry.ts'

/** Bytes: an error of S3 has less than one KiB. */
const mostBytes = 16_384
/** Milliseconds: the body of an error comes with its head. */
const mostTime = 2_000

/**
 * These three may begin their answer before the work is done, with a 200 that an error or nothing follows.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html (also UploadPartCopy and CompleteMultipartUpload)
 */
export function mayHideError({ method, url, headers, response }: AttemptOutcome): boolean {
  if (response?.status !== 200) return false
  if (method === 'PUT') return headers.has('x-amz-copy-source')
  return method === 'POST' && (URL.parse(url)?.searchParams.has('uploadId') ?? false)
}

/**
 * @param hidden whether the body may be something else than an error: then it is waited for without a limit of ours, as whoever wants to
 * know how it went has to, and an empty one is an `InternalError`
 * @returns undefined if there is none, or it cannot be read
 */
export async function errorCode(response: Response, hidden = false): Promise<string | undefined> {
  const text = await start(response, hidden ? undefined : mostTime)
  if (hidden && text === '') return 'InternalError'
  if (hidden && !/^(\s*<\?xml[^>]*>)?\s*<Error[\s>]/.test(text)) return undefined
  return /<Code>\s*(\w+)\s*<\/Code>/.exec(text)?.[1]
}

/** As much of the body as the bounds let through; no time is no limit. What fails here fails in the response, too. */
async function start(response: Response, time: number | undefined): Promise<string> {
  let text = ''
  let length = 0
  // Of the clone: the response's own body stays as it is, so that what has arrived needs no tee.
  const reader = response.clone().body?.getReader()
  if (reader === undefined) return text
  const decoder = new TextDecoder()
  // Half of a tee: its cancel() settles with the other half.
  const cancel = (): void => void reader.cancel().catch(() => {})
  const timer = time === undefined ? undefined : setTimeout(cancel, time)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      text += decoder.decode(value, { stream: true })
      if ((length += value.length) > mostBytes) break
    }
  } catch {
    // As much as came.
  }
  clearTimeout(timer)
  cancel()
  return text
}
