/** The resource timing entry of one call, as Node's own fetch leaves it (Resource Timing, 4.6). */
import { performance } from 'node:perf_hooks'

type Mark = (
  timing: object,
  url: string,
  initiator: string,
  global: object,
  cache: string,
  body: string,
  status: number,
) => void

const mark: Mark = (performance as unknown as { markResourceTiming: Mark }).markResourceTiming

const noConnection = {
  domainLookupStartTime: 0,
  domainLookupEndTime: 0,
  connectionStartTime: 0,
  connectionEndTime: 0,
  secureConnectionStartTime: 0,
  ALPNNegotiatedProtocol: undefined,
}

export class Timing {
  startTime: number = performance.now()
  redirectStartTime = 0
  redirectEndTime = 0
  postRedirectStartTime: number = this.startTime
  finalServiceWorkerStartTime = 0
  finalNetworkRequestStartTime = 0
  finalNetworkResponseStartTime = 0
  endTime = 0
  encodedBodySize = 0
  decodedBodySize = 0
  finalConnectionTimingInfo: object = noConnection

  redirected(): void {
    this.redirectEndTime = this.postRedirectStartTime = performance.now()
    if (this.redirectStartTime === 0) this.redirectStartTime = this.startTime
  }

  requested(): void {
    this.finalNetworkRequestStartTime = performance.now()
  }

  answered(): void {
    this.finalNetworkResponseStartTime = performance.now()
  }

  /** @param url of the first request, as undici has it */
  end(url: string, status: number): void {
    this.endTime = performance.now()
    this.decodedBodySize = this.encodedBodySize
    mark(this, url, 'fetch', globalThis, '', '', status)
  }
}
