/** The adapter needs nothing of Azure: its errors are the SDK's own where the SDK can be found, and equal to them where not. */
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { isRestError } from '@azure/core-rest-pipeline'
import { expect, test, vi } from 'vitest'
import { azureHttpClient } from '../../../src/adapters/azure.ts'
import { testClient } from '../../support/client.ts'
import { refused } from '../../support/refused.ts'
import { sender } from './both.ts'

test('importing it and sending with it loads no Azure package', () => {
  const script = `
    import { createRequire, registerHooks } from 'node:module'
    import { createServer } from 'node:http'
    const loaded = []
    registerHooks({ resolve(specifier, context, next) { loaded.push(specifier); return next(specifier, context) } })
    const { azureHttpClient } = await import('./src/adapters/azure.ts')
    const { createClient } = await import('./src/index.ts')
    const server = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1', async () => {
      const client = createClient()
      const headers = { get() {}, toJson: () => ({}) }
      const url = 'http://127.0.0.1:' + server.address().port
      const { bodyAsText } = await azureHttpClient(client).sendRequest({ url, method: 'GET', headers, timeout: 0 })
      await client.close()
      server.close()
      console.log(bodyAsText, loaded.length > 5, loaded.filter((each) => each.includes('@azure')))
    })`
  const root = path.join(import.meta.dirname, '../../..')
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  })
  expect(printed).toBe('ok true []\n')
})

test('without @azure/core-rest-pipeline, an error is a RestError by its name, with code, request and cause', async () => {
  vi.doMock('@azure/core-rest-pipeline', () => {
    throw new Error('Cannot find package')
  })
  await using client = testClient()
  const { url } = await refused()
  const error = (await sender(
    azureHttpClient(client),
    url,
  )({ headers: { authorization: 'secret' } }).catch((reason: unknown) => reason)) as Error & {
    code?: string
    request?: { url: string }
  }
  expect(isRestError(error)).toBe(true)
  expect([error.name, error.code, error.request?.url]).toEqual(['RestError', 'ECONNREFUSED', `${url}/`])
  expect(error.constructor.name).toBe('PlainRestError')
  expect((error.cause as NodeJS.ErrnoException).code).toBe('ECONNREFUSED')
  expect(JSON.stringify(error)).not.toContain('secret')
})
