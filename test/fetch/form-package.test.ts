/** The package form-data, which is a stream with the name of a form. */
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { testClient } from '../support/client.ts'

interface Form {
  append(name: string, value: string): void
}
const require = createRequire(import.meta.url)

for (const retry of [false, true]) {
  test(`retry: ${retry}: a form of it is refused with what to use instead`, async () => {
    const Package = require('form-data') as new () => Form
    const body = new Package()
    body.append('name', 'value')
    await using client = testClient({ retry })
    const call = client.fetch('http://127.0.0.1:1/', { method: 'POST', body: body as unknown as FormData })
    await expect(call).rejects.toThrow(/package form-data.+global FormData.+form\.getHeaders\(\)/)
    await expect(call).rejects.toBeInstanceOf(TypeError)
  })
}
