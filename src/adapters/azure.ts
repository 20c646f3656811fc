/**
 * azureHttpClient: one HTTP client for every Azure SDK, on a client's dispatcher. It answers as the SDK's own client does, so that
 * retries, errors and streams above it stay as they are; sockets below it come back.
 */
import { type Client, optionsOf } from '../client.ts'
import { InvalidOptionError } from '../errors.ts'
import { answer, type AzureResponse } from './azure/answer.ts'
import { AbortError, aborted, sendError } from './azure/errors.ts'
import { Exchange } from './azure/exchange.ts'
import { refuseOther } from './azure/refused.ts'
import { type AzureRequest, encoded, toOutgoing } from './azure/request.ts'

export type { AzureResponse } from './azure/answer.ts'
export type { AzureRequest } from './azure/request.ts'

/** What `httpClient` of every Azure SDK's options takes. */
export interface AzureHttpClient {
  /**
   * Rejects with `RestError` and a code of Node's when the request fails (`cause` is undici's error), with `AbortError` when it is
   * aborted or takes longer than its `timeout` to its headers.
   */
  sendRequest<R extends AzureRequest>(request: R): Promise<AzureResponse<R>>
}

/**
 * An HTTP client for Azure SDKs on the connections of `client`, which stays yours to close.
 * @param client its connection and drain options hold; its `headers`, `timeout` and `maxResponseSize` are for its own `fetch`
 * @throws InvalidOptionError if it is no client; requests reject with it for an agent, a proxy or TLS settings that are not the client's
 */
export function azureHttpClient(client: Pick<Client, 'dispatcher'>): AzureHttpClient {
  const dispatcher = (client as Partial<Client> | undefined)?.dispatcher
  if (typeof dispatcher?.dispatch !== 'function')
    throw new InvalidOptionError('client', 'azureHttpClient(client) takes what createClient() returns')
  const dispatch = dispatcher.dispatch.bind(dispatcher)
  const options = optionsOf(dispatcher)

  return {
    async sendRequest<R extends AzureRequest>(request: R): Promise<AzureResponse<R>> {
      refuseOther(request, options)
      const form = request.body instanceof FormData ? await encoded(request.body) : undefined
      // Before the body is made, which may open a file.
      if (request.abortSignal?.aborted === true) throw new AbortError(aborted.before)
      const outgoing = toOutgoing(request, form)
      return new Promise((resolve, reject) => {
        const exchange = new Exchange({
          signal: request.abortSignal ?? undefined,
          timeout: request.timeout,
          onProgress: request.onUploadProgress,
          answer: (status, headers) => answer(exchange, request, outgoing, status, headers, resolve, reject),
          fail: async (error) => reject(await sendError(error, request)),
        })
        exchange.send(dispatch, outgoing.options)
      })
    },
  }
}
