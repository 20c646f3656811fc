/** Options of retries and hedged requests: what is not accepted is refused, by its full name, for a client and for a call. */
import { expect, test } from 'vitest'
import { createClient, InvalidOptionError } from '../../src/index.ts'

const never = { next: () => ({ retry: false }) as const }

/** Behind `retry.` or `init.retry.`, but for the last two. */
const badRetry: [string, unknown, string, RegExp][] = [
  ['attempts that are none', { maxAttempts: 0 }, '.maxAttempts', /must be a whole number, 1 or more, got 0/],
  ['half an attempt', { maxAttempts: 1.5 }, '.maxAttempts', /got 1.5/],
  ['attempts without end', { maxAttempts: Infinity }, '.maxAttempts', /got Infinity/],
  ['methods in small letters', { methods: ['get'] }, '.methods', /an array of methods in capitals/],
  ['methods as text', { methods: 'GET' }, '.methods', /an array of methods in capitals, got "GET"/],
  ['a method that is no word', { methods: ['GET', 'P OST'] }, '.methods', /an array of methods in capitals/],
  ['a status as text', { statuses: ['503'] }, '.statuses', /an array of statuses from 300 to 599/],
  ['a status of success', { statuses: [503, 299] }, '.statuses', /an array of statuses from 300 to 599/],
  ['a status that is none', { statuses: [503, 600] }, '.statuses', /an array of statuses from 300 to 599/],
  ['a code that is none', { codes: [''] }, '.codes', /an array of error codes/],
  ['codes as a Set', { codes: new Set(['ECONNRESET']) }, '.codes', /an array of error codes/],
  ['shouldRetry that is no function', { shouldRetry: true }, '.shouldRetry', /must be a function, got true/],
  ['onRetry that is no function', { onRetry: {} }, '.onRetry', /must be a function, got an object/],
  ['backoff as a number', { backoff: 100 }, '.backoff', /backoff must be an object, got 100/],
  [
    'an unknown name in backoff',
    { backoff: { inital: 1 } },
    '.backoff.inital',
    /did you mean \S*backoff\.initial\?/,
  ],
  ['a negative first wait', { backoff: { initial: -1 } }, '.backoff.initial', /milliseconds from 0/],
  ['a longest wait without end', { backoff: { max: Infinity } }, '.backoff.max', /milliseconds from 0/],
  [
    'waits that shrink',
    { backoff: { factor: 0.5 } },
    '.backoff.factor',
    /must be a number, 1 or more, got 0.5/,
  ],
  ['waits that grow without end', { backoff: { factor: Infinity } }, '.backoff.factor', /1 or more/],
  [
    'unknown jitter',
    { backoff: { jitter: 'half' } },
    '.backoff.jitter',
    /'full', 'equal', 'decorrelated' or 'none'/,
  ],
  ['jitter as a switch', { backoff: { jitter: false } }, '.backoff.jitter', /'none', got false/],
  ['respect as text', { respectRetryAfter: 'yes' }, '.respectRetryAfter', /must be true or false, got "yes"/],
  ['a longest Retry-After without end', { maxRetryAfter: Infinity }, '.maxRetryAfter', /milliseconds from 0/],
  ['an unknown name', { attempts: 3 }, '.attempts', /did you mean \S*retry\.maxAttempts\?/],
  ['the name of p-retry', { retries: 3 }, '.retries', /Unknown option/],
  ['attempts below none', -1, '', /must be a whole number, 1 or more, got -1/],
  ['attempts that are no number', Number.NaN, '', /got NaN/],
  ['a policy without attempts', never, '.maxAttempts', /must be a whole number, 1 or more/],
  ['a policy without an attempt', { ...never, maxAttempts: 0 }, '.maxAttempts', /got 0/],
]

const refused = (make: () => unknown): InvalidOptionError => {
  try {
    make()
  } catch (error) {
    return error as InvalidOptionError
  }
  throw new Error('It was accepted')
}

test.each(badRetry)('a client refuses %s', (_, retry, name, message) => {
  const error = refused(() => createClient({ retry } as never))
  expect(error).toBeInstanceOf(InvalidOptionError)
  expect(error.option).toBe(`retry${name}`)
  expect(error.message).toMatch(message)
  expect(error.message).toContain(`retry${name}`)
})

test.each(badRetry)('a call refuses %s, and sends nothing', async (_, retry, name, message) => {
  const client = createClient()
  const error: unknown = await client
    .fetch('http://127.0.0.1:1/', { retry } as never)
    .catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(InvalidOptionError)
  expect(error).toMatchObject({ option: `init.retry${name}`, message: expect.stringMatching(message) })
  expect(client.stats().sockets.opened).toBe(0)
  await client.close()
})

test.each(['3', null, [], new Map(), (): void => {}, Symbol('x'), 3n])(
  'a client refuses retry: %s',
  (retry) => {
    const error = refused(() => createClient({ retry } as never))
    expect(error).toBeInstanceOf(InvalidOptionError)
    expect(error.message).toMatch(
      /retry must be true, false, a number of attempts, an object of options, or a policy/,
    )
  },
)

const noRetry = ['3', null, [], new Map(), (): void => {}, Symbol('x'), 3n]
test.each(noRetry.flatMap((retry) => [undefined, true].map((own) => [retry, own] as const)))(
  'a call refuses retry: %s, on a client with retry: %s',
  async (retry, own) => {
    const client = createClient({ retry: own } as never)
    const call = client.fetch('http://127.0.0.1:1/', { retry } as never)
    await expect(call).rejects.toBeInstanceOf(InvalidOptionError)
    await expect(call).rejects.toMatchObject({ option: 'init.retry' })
    await client.close()
  },
)

test.each([
  [{ budget: true }, 'retry.budget', /must be an object, or false, got true/],
  [{ budget: { share: 20 } }, 'retry.budget.share', /a number from 0 to 1, got 20/],
  [{ budget: { share: Number.NaN } }, 'retry.budget.share', /a number from 0 to 1, got NaN/],
  [{ budget: { floor: -1 } }, 'retry.budget.floor', /a whole number, 0 or more, got -1/],
  [{ budget: { floor: Infinity } }, 'retry.budget.floor', /a whole number, 0 or more/],
  [{ budget: { ratio: 0.1 } }, 'retry.budget.ratio', /Unknown option retry\.budget\.ratio/],
])('a client refuses the budget of %j', (retry, option, message) => {
  const error = refused(() => createClient({ retry } as never))
  expect(error.option).toBe(option)
  expect(error.message).toMatch(message)
})

test.each([{ budget: false }, { budget: { floor: 3 } }] as const)(
  'a call has no budget of its own: %j is refused, since calls share it',
  async (retry) => {
    const client = createClient({ retry: true })
    const call = client.fetch('http://127.0.0.1:1/', { retry })
    await expect(call).rejects.toMatchObject({
      option: 'init.retry.budget',
      message: expect.stringContaining('is for a whole client only'),
    })
    await client.close()
  },
)

const badHedge: [string, unknown, string, RegExp][] = [
  ['without after', {}, '.after', /must be milliseconds from 0 to 2147483647, and has to be given/],
  ['with after undefined', { after: undefined }, '.after', /has to be given/],
  ['after a negative time', { after: -1 }, '.after', /milliseconds from 0 to 2147483647, got -1/],
  ['after for ever', { after: Infinity }, '.after', /milliseconds from 0 to 2147483647/],
  ['with an unknown name', { after: 5, delay: 3 }, '.delay', /Unknown option/],
]

test.each(badHedge)('hedge %s is refused', async (_, hedge, name, message) => {
  const error = refused(() => createClient({ hedge } as never))
  expect(error).toBeInstanceOf(InvalidOptionError)
  expect(error.option).toBe(`hedge${name}`)
  expect(error.message).toMatch(message)
  const client = createClient()
  await expect(client.fetch('http://127.0.0.1:1/', { hedge } as never)).rejects.toMatchObject({
    option: `init.hedge${name}`,
    message: expect.stringMatching(message),
  })
  await client.close()
})

test.each([true, 100, 'soon', [], null])('hedge: %j is refused', async (hedge) => {
  expect(refused(() => createClient({ hedge } as never))).toBeInstanceOf(InvalidOptionError)
  const client = createClient()
  const call = client.fetch('http://127.0.0.1:1/', { hedge } as never)
  await expect(call).rejects.toBeInstanceOf(InvalidOptionError)
  await client.close()
})

test.each([
  undefined,
  false,
  true,
  0,
  1,
  { methods: [] },
  { statuses: [300, 599], codes: ['X'], backoff: {} },
  { maxAttempts: undefined, budget: undefined, backoff: { jitter: undefined } },
  { budget: false },
  { ...never, maxAttempts: 2 },
])('retry: %j is accepted', (retry) => {
  expect(() => createClient({ retry } as never)).not.toThrow()
})

test('a limit of connecting is for a whole client, one of an attempt for a call as well', async () => {
  const client = createClient()
  const call = client.fetch('http://127.0.0.1:1/', { timeout: { connect: 5 } })
  await expect(call).rejects.toMatchObject({ option: 'init.timeout.connect' })
  await expect(client.fetch('http://127.0.0.1:1/', { timeout: { attempt: -5 } })).rejects.toMatchObject({
    option: 'init.timeout.attempt',
  })
  await expect(client.fetch('http://127.0.0.1:1/', { timeout: { attempt: 5 } })).rejects.toThrow(
    'fetch failed',
  )
  await client.close()
})

test('errors show no secrets of a call', async () => {
  const client = createClient()
  const error: unknown = await client
    .fetch('http://127.0.0.1:1/?sig=hunter2', { retry: { codes: 'hunter2@x' } } as never)
    .catch((reason: unknown) => reason)
  expect((error as Error).message).not.toContain('hunter2')
  await client.close()
})
