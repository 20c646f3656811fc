/** Aborts at every moment: the reason is the caller's own, and everybody who waits hears of it. */
import { expect } from 'vitest'
import { fact, type Scene, tell, tellError } from '../support/lanes.ts'

const reasons: Record<string, unknown> = {
  'an Error': new Error('mine'),
  'a string': 'mine',
  'an object': { mine: true },
  'a TypeError': new TypeError('mine'),
}

/** Rejected with exactly this. */
const rejectedWith = async (pending: Promise<unknown> | undefined, reason: unknown): Promise<string> => {
  try {
    await pending
    return 'resolved'
  } catch (error) {
    return error === reason ? 'the reason' : JSON.stringify(tellError(error))
  }
}

for (const [name, reason] of Object.entries(reasons)) {
  const h2 = { h2: true }

  fact(
    `before the call: ${name}`,
    async ({ fetch, url, seen }) => [
      await rejectedWith(fetch(url, { signal: AbortSignal.abort(reason) }), reason),
      seen.length,
    ],
    ['the reason', 0],
    h2,
  )

  fact(
    `in the turn of the call: ${name}`,
    async ({ fetch, url }) => {
      const controller = new AbortController()
      const pending = fetch(url, { signal: controller.signal })
      controller.abort(reason)
      return rejectedWith(pending, reason)
    },
    'the reason',
    h2,
  )

  fact(
    `before the headers: ${name}`,
    async ({ fetch, url, answers }) => {
      const controller = new AbortController()
      answers(async (_, reply) => {
        controller.abort(reason)
        // The origin hears of it, too.
        await reply.gone
      })
      return rejectedWith(fetch(url, { signal: controller.signal }), reason)
    },
    'the reason',
    h2,
  )

  fact(
    `after the headers, before anybody reads: ${name}`,
    async ({ fetch, url, answers }) => {
      const controller = new AbortController()
      answers(endless)
      const response = await fetch(url, { signal: controller.signal })
      controller.abort(reason)
      return [await rejectedWith(response.text(), reason), response.bodyUsed]
    },
    ['the reason', true],
    h2,
  )

  fact(
    `while the body is read: ${name}`,
    async ({ fetch, url, answers }) => {
      const controller = new AbortController()
      answers(endless)
      const reader = (await fetch(url, { signal: controller.signal })).body?.getReader()
      await reader?.read()
      const pending = reader?.read()
      controller.abort(reason)
      return [await rejectedWith(pending, reason), await rejectedWith(reader?.closed, reason)]
    },
    ['the reason', 'the reason'],
    h2,
  )

  fact(
    `after the end: ${name}`,
    async ({ fetch, url }) => {
      const controller = new AbortController()
      const response = await fetch(url, { signal: controller.signal })
      const text = await response.text()
      controller.abort(reason)
      return [text, response.bodyUsed, response.status]
    },
    ['ok', true, 200],
    h2,
  )
}

const endless: Parameters<Scene['answers']>[0] = async (_, reply) => {
  reply.head(200)
  reply.write('begin')
  await reply.gone
}

fact(
  'without a reason it is an AbortError',
  async ({ fetch, url }) => {
    const controller = new AbortController()
    const pending = fetch(url, { signal: controller.signal })
    controller.abort()
    return [await tell(pending), await rejectedWith(pending, controller.signal.reason)]
  },
  [
    { class: 'DOMException', name: 'AbortError', message: 'This operation was aborted', code: 20 },
    'the reason',
  ],
)

fact(
  'a timeout is a TimeoutError',
  ({ tells, url, answers }) => {
    answers((_, reply) => reply.gone)
    return tells(url, { signal: AbortSignal.timeout(20) })
  },
  expect.objectContaining({ class: 'DOMException', name: 'TimeoutError' }),
  { h2: true },
)

fact(
  'a signal of a Request counts, and one of the init takes its place',
  async ({ fetch, url, Request }) => {
    const [ofRequest, ofInit] = [new AbortController(), new AbortController()]
    const request = new Request(url, { signal: ofRequest.signal })
    ofRequest.abort('of the request')
    ofInit.abort('of the init')
    return [
      await rejectedWith(fetch(request), 'of the request'),
      await rejectedWith(fetch(request, { signal: ofInit.signal }), 'of the init'),
      await fetch(request, { signal: null }).then((response) => response.text()),
    ]
  },
  ['the reason', 'the reason', 'ok'],
  { globals: true },
)

fact(
  'both copies of a clone hear of it',
  async ({ fetch, url, answers }) => {
    answers(endless)
    const controller = new AbortController()
    const response = await fetch(url, { signal: controller.signal })
    const copy = response.clone()
    controller.abort('mine')
    return Promise.all([rejectedWith(response.text(), 'mine'), rejectedWith(copy.text(), 'mine')])
  },
  ['the reason', 'the reason'],
)

fact(
  'one signal ends many calls',
  async ({ fetch, url, answers }) => {
    const controller = new AbortController()
    // The client of the test has one connection: the others wait for it.
    answers((_, reply) => {
      controller.abort('mine')
      return reply.gone
    })
    const calls = Array.from({ length: 5 }, () => fetch(url, { signal: controller.signal }))
    return Promise.all(calls.map((each) => rejectedWith(each, 'mine')))
  },
  Array.from({ length: 5 }, () => 'the reason'),
  { h2: true },
)

fact(
  'the caller hears of it in the turn of the abort, listeners of the signal first',
  async ({ fetch, url, answers }) => {
    answers(endless)
    const controller = new AbortController()
    const order: string[] = []
    const response = await fetch(url, { signal: controller.signal })
    const reading = response.text().catch(() => order.push('reader'))
    controller.signal.addEventListener('abort', () => order.push('listener'))
    controller.abort('mine')
    order.push('abort() returned')
    const turn = new Promise((resolve) => setImmediate(resolve)).then(() => order.push('next turn'))
    await Promise.all([reading, turn])
    return order
  },
  ['listener', 'abort() returned', 'reader', 'next turn'],
)

fact(
  'an abort on the way through redirects is one, too',
  async ({ fetch, url, answers }) => {
    const controller = new AbortController()
    answers((request, reply) => {
      if (request.target === '/to') {
        controller.abort('mine')
        return reply.gone
      }
      return reply.send(302, [['location', '/to']])
    })
    return rejectedWith(fetch(url, { signal: controller.signal }), 'mine')
  },
  'the reason',
  { h2: true },
)

for (const signal of ['x', {}, 1]) {
  fact(
    `${JSON.stringify(signal)} is no signal`,
    ({ tells, url }) => tells(url, { signal }),
    expect.objectContaining({ class: 'TypeError', message: expect.stringMatching(/AbortSignal/) }),
  )
}
