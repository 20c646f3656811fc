/** Headers and body to the response an Azure SDK expects: nothing for HEAD, a stream where one was asked for, else text. */
import { pipeline, type Readable, Transform } from 'node:stream'
import { createGunzip, createInflate } from 'node:zlib'
import { NodeBody } from '../node-body.ts'
import { textError } from './errors.ts'
import type { Exchange, Sink } from './exchange.ts'
import { ResponseHeaders, type WireHeaders } from './headers.ts'
import type { AzureRequest, Outgoing } from './request.ts'
import { TextSink, textOf } from './text.ts'

/** The answer to a request, in the shape of that request. */
export interface AzureResponse<R extends AzureRequest> {
  request: R
  status: number
  headers: R['headers']
  /** The whole body, unless it was asked for as a stream. */
  bodyAsText?: string | null
  /** The body, where `streamResponseStatusCodes` asked for it. Read it, destroy it or forget it: its socket comes back. */
  readableStreamBody?: NodeJS.ReadableStream
}

/**
 * Bytes of a download that are received before anybody reads it. storage-blob puts a stream of its own around it, which takes one
 * buffer and at the most one chunk (64 KiB each) at once; another buffer stays here, so that nothing is asked of the wire until
 * somebody reads, and the wire can tell a forgotten download from a slow reader.
 */
const early = 192 * 1024

/** Calls `settle` with the response, at its headers or, if it has a text, at its end; returns where the body goes. */
export function answer<R extends AzureRequest>(
  exchange: Exchange,
  request: R,
  outgoing: Outgoing,
  status: number,
  wire: WireHeaders,
  resolve: (response: AzureResponse<R>) => void,
  reject: (error: unknown) => void,
): Sink | undefined {
  const headers = new ResponseHeaders(wire)
  const response: AzureResponse<R> = { request, status, headers }
  if (request.method === 'HEAD') {
    resolve(response)
    return undefined
  }
  const { streamResponseStatusCodes: codes, onDownloadProgress: onProgress } = request
  // Infinity stands for any status.
  const isStreamed = codes !== undefined && (codes.has(Infinity) || codes.has(status))
  const coding = outgoing.decodes ? headers.get('content-encoding') : undefined
  const decoder = coding === 'gzip' ? createGunzip() : coding === 'deflate' ? createInflate() : undefined

  const resolveWith = (text: string): void => resolve({ ...response, bodyAsText: text })
  const rejectWith = async (error: Error): Promise<void> => reject(await textError(error, request))

  if (!isStreamed && decoder === undefined && onProgress === undefined) {
    return new TextSink(exchange.controller, (error, text) => {
      exchange.done()
      if (error === undefined) resolveWith(text)
      else void rejectWith(error)
    })
  }
  const end = new NodeBody(exchange.controller, exchange.done, outgoing.isCompat ? early : 0)
  const stream = end.open()
  const decoded = decoder === undefined ? stream : through(stream, decoder)
  const body = onProgress === undefined ? decoded : through(decoded, reporting(onProgress))
  if (isStreamed) resolve({ ...response, readableStreamBody: body })
  else void textOf(body).then(resolveWith, rejectWith)
  return end
}

/** Whichever of the two ends, ends the other. */
function through(source: Readable, transform: Transform): Transform {
  return pipeline(source, transform, () => {})
}

function reporting(onProgress: (progress: { loadedBytes: number }) => void): Transform {
  let loadedBytes = 0
  return new Transform({
    transform(chunk: Buffer, _, callback) {
      loadedBytes += chunk.length
      try {
        onProgress({ loadedBytes })
        callback(null, chunk)
      } catch (error) {
        callback(error as Error)
      }
    },
  })
}
