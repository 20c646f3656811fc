/** A report with something of everything, as a busy program that forgets bodies would give it. */
import type { LeakReport, Report, Sample } from '../../src/report/model.ts'
import { Tally } from '../../src/report/tally.ts'

const clients = [
  { client: 'blob', origin: 'https://account.blob.core.windows.net', requests: 1840, forgotten: 64 },
  { client: 'process', origin: 'http://127.0.0.1:8080', requests: 412, forgotten: 3 },
  { client: 'orders', origin: 'https://orders.internal.example:8443', requests: 96, forgotten: 0 },
]

export const leak: LeakReport = {
  count: 10,
  client: 'blob',
  origin: 'https://account.blob.core.windows.net',
  method: 'GET',
  path: '/container/reports/2026/11/24.json?sv=2024-11-04&sig=***',
  status: 404,
  received: 5_000,
  read: 0,
  unread: 262_144,
  age: 10_412,
  foundBy: 'collector',
  heldConnection: true,
  callSite: 'loadReport (/srv/app/src/reports/load-report.js:41:26)',
  source: 'const response = await fetch(`${base}/container/reports/${day}.json?${sas}`)',
}

export function exampleReport(): Report {
  const tally = new Tally()
  for (const { client, origin, requests, forgotten } of clients) {
    for (let i = 0; i < requests; i++) {
      const isNew = i % 60 === 0
      const place = { client, origin }
      if (isNew) tally.onConnection({ ...place, state: 'opened', reset: false })
      // Most find a connection; some wait for one.
      const waited = isNew ? 6 + (i % 9) : i % 11 === 0 ? ((i * 37) % 4_000) / 2 : 0.05
      tally.onWait({ ...place, waited, connection: isNew ? 'opened' : 'reused' })
      const body = { ...place, read: 2_048, drained: 0, unread: 0 }
      const isClosed = i % 31 === 0
      if (i < forgotten) tally.onBody({ ...body, outcome: 'drained', reason: 'collected' })
      else if (isClosed) {
        tally.onBody({
          ...body,
          outcome: 'closed',
          reason: i % 2 === 0 ? 'bytes' : 'cost',
        })
        tally.onConnection({ ...place, state: 'closed', reset: true })
        tally.onConnection({ ...place, state: 'opened', reset: false })
      } else if (i % 7 === 0) tally.onBody({ ...body, outcome: 'drained', reason: 'ended' })
      else tally.onBody({ ...body, outcome: 'read', reason: 'complete' })
    }
  }
  const [blob] = clients
  if (blob !== undefined)
    tally.onStarvation({
      client: blob.client,
      origin: blob.origin,
      waited: 10_412,
      waiting: 57,
      limit: 64,
      open: 64,
      holders: [
        {
          state: 'untouched',
          count: 61,
          method: 'GET',
          path: leak.path,
          age: 11_902,
          received: 4_194_304,
          callSite: leak.callSite,
          site: undefined,
        },
        {
          state: 'reading',
          count: 3,
          method: 'GET',
          path: '/container/export.csv',
          age: 2_310,
          received: 81_920,
          callSite: undefined,
          site: undefined,
        },
      ],
    })
  return {
    program: 'server.js',
    node: '24.21.0',
    pid: 4711,
    started: '2026-11-24T19:20:00.000Z',
    seconds: 94.2,
    ended: 'SIGTERM',
    hasNodeFetch: true,
    total: tally.total(),
    origins: tally.origins(),
    leaks: [
      leak,
      {
        ...leak,
        count: 1,
        callSite: 'file:///srv/app/src/index.js:7:3',
        source: "fetch(url, { method: 'HEAD' })",
        heldConnection: false,
        unread: undefined,
      },
      { ...leak, count: 1, callSite: undefined, source: undefined, foundBy: 'reclaim' },
    ],
    moreLeaks: 0,
    starvations: tally.starvations(),
    samples: course(),
  }
}

/** Of a program that has done nothing. */
export function emptyReport(): Report {
  const tally = new Tally()
  return {
    ...exampleReport(),
    ended: 'exit code 0',
    seconds: 0.04,
    total: tally.total(),
    origins: [],
    leaks: [],
    starvations: [],
    samples: [{ at: 0.04, sockets: 0, waiting: 0 }],
  }
}

/** A start, a plateau at the limit with requests piling up, and a calm end. */
function course(): Sample[] {
  return Array.from({ length: 188 }, (_, i) => {
    const wave = Math.round(Math.abs(Math.sin(i / 9)) * 14)
    const isBusy = i > 60 && i < 130
    return {
      at: (i + 1) / 2,
      sockets: Math.min(64, isBusy ? 64 : i < 60 ? Math.round(i / 2) + wave : 18 + wave),
      waiting: isBusy ? Math.max(0, 57 - Math.abs(95 - i)) : 0,
    }
  })
}
