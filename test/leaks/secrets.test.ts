/** Credentials and signatures of URLs and headers are in no event, no debug output and no error. */
import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { collectGarbage } from '../../src/garbage.ts'
import { type ClientOptions, discard } from '../../src/index.ts'
import { testClient } from '../support/client.ts'
import { forgetsBodies } from '../support/forgotten.ts'
import { serve } from './support/serve.ts'

forgetsBodies()

const channels = ['body', 'request', 'connection', 'wait', 'reclaim', 'retry', 'leak', 'starvation']

/** Letters that no encoding changes, and nothing else here contains. */
const secret = fc.stringMatching(/^[A-Za-z0-9]{16,24}$/).map((text) => `zQ${text}Qz`)
const parameter = fc.constantFrom(
  'sig',
  'X-Amz-Signature',
  'X-Amz-Credential',
  'X-Amz-Security-Token',
  'X-Goog-Signature',
  'Signature',
  'access_token',
  'api_key',
  'token',
  'client_secret',
  'code',
  's%69g',
)
const call = fc.record({
  secret,
  parameter,
  path: fc.constantFrom('/40', '/3000000', '/stalls', '/flaky', '/redirect', '/refused', '/status/204'),
  header: fc.constantFrom('authorization', 'cookie', 'x-ms-copy-source', 'proxy-authorization', 'x-api-key'),
  end: fc.constantFrom('forget', 'read', 'cancel', 'discard'),
})

/** Calls of which every channel tells. */
const telling = ['/flaky', '/40', '/stalls', '/stalls', '/stalls'].map((path) => ({
  secret: 'zQsecretsecretQz',
  parameter: 'sig',
  path,
  header: 'authorization',
  end: 'forget',
}))

test('none of them is in any event or error', { timeout: 120_000 }, async () => {
  const told: unknown[] = []
  const spoke = new Set<string>()
  const listen = (message: unknown, channel: string | symbol): void => {
    spoke.add(String(channel))
    told.push(message)
  }
  for (const channel of channels) subscribe(`drained:${channel}`, listen)
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 8 }), async (calls) => {
        await using origin = await serve()
        const options: ClientOptions = {
          leaks: 'all',
          connections: 2,
          queue: { warn: 5 },
          drain: { stall: 20 },
          timeout: { total: 300, headers: 200 },
        }
        await using client = testClient(options)
        await Promise.all(
          calls.map(async (each) => {
            const url = `${origin.url}${each.path}?sv=2020&${each.parameter}=${each.secret}`
            try {
              const response = await client.fetch(url, {
                headers: { [each.header]: `Bearer ${each.secret}` },
                retry: { maxAttempts: 2, backoff: { initial: 1, max: 2 } },
              })
              if (each.end === 'read') await response.text()
              if (each.end === 'cancel') await response.body?.cancel()
              if (each.end === 'discard') await discard(response)
            } catch (error) {
              told.push(error)
            }
          }),
        )
        await collectGarbage()
        told.push(client.stats())
        const shown = inspect(told.splice(0), { depth: 12, showHidden: true })
        for (const each of calls) expect(shown).not.toContain(each.secret)
      }),
      { numRuns: 25, examples: [[telling]] },
    )
    // Where nothing is told, nothing can be told too much.
    for (const channel of ['body', 'request', 'connection', 'wait', 'retry', 'leak'])
      expect(spoke).toContain(`drained:${channel}`)
  } finally {
    for (const channel of channels) unsubscribe(`drained:${channel}`, listen)
  }
})

test('none of them is in the debug output', async () => {
  const { stderr, stdout } = await new Promise<{ stderr: string; stdout: string }>((resolve) =>
    execFile(
      process.execPath,
      [`${import.meta.dirname}/support/debug.ts`],
      { env: { ...process.env, DEBUG: 'drained:*' } },
      (_, out, err) => resolve({ stdout: out, stderr: err }),
    ),
  )
  expect(stdout).toBe('done\n')
  for (const channel of ['body', 'connection', 'leak', 'reclaim', 'starvation'])
    expect(stderr).toContain(`drained:${channel}`)
  expect(stderr).toContain('***')
  expect(stderr).not.toContain('zQsecretQz')
})
