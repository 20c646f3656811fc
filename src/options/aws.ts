/** Options of `drained/aws`, and their checks. */
import { check, type Checks, limit } from './check.ts'

/** Time limits in milliseconds; 0 and Infinity mean none. */
export interface AwsHandlerOptions {
  /**
   * From the request until the headers of its response; the SDK may give another for one call.
   * @default none (as the SDK)
   */
  requestTimeout?: number
  /**
   * Without any progress while the headers are waited for, or the body is read.
   * @default none, or what the SDK sets for its service (a Lambda function may take 15 minutes to answer)
   */
  socketTimeout?: number
}

const checks: Checks<AwsHandlerOptions> = { requestTimeout: limit, socketTimeout: limit }

/**
 * Checked options of a request handler for the AWS SDK.
 * @throws InvalidOptionError
 */
export function resolveAwsHandler(options: AwsHandlerOptions = {}): AwsHandlerOptions {
  check('options', options, checks)
  return { ...options }
}

/** No limit as undici and timers here take it. */
export const orNone = (limit: number | undefined): number =>
  limit === undefined || limit === Infinity ? 0 : limit
