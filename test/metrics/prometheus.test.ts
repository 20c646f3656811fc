/** The text format of Prometheus. */
import { expect, test } from 'vitest'
import { contentType, prometheusText } from '../../src/adapters/prometheus.ts'
import { testClient } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'

test('every line is a comment or a sample, and samples of one metric are together', async () => {
  await using origin = await createOrigin((_, reply) =>
    reply.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
  )
  await using client = testClient({ name: 'a "quoted\\ name\nof two lines' })
  await (await client.fetch(origin.url)).text()
  const text = prometheusText(client)
  const lines = text.trimEnd().split('\n')
  for (const line of lines)
    expect(line).toMatch(
      /^(# (HELP \w+ [^"]+|TYPE \w+ (counter|gauge))|\w+\{(\w+="([^"\\]|\\["\\n])*",?)+\} \d+)$/,
    )
  const names = lines.filter((line) => !line.startsWith('#')).map((line) => line.split('{')[0])
  expect(names.filter((name, i) => name !== names[i - 1])).toEqual([...new Set(names)])
  expect(text).toContain('drained_client="a \\"quoted\\\\ name\\nof two lines"')
  expect(text).toContain('# TYPE drained_bodies_total counter\n')
  expect(text).toMatch(/^drained_bytes_total\{.*drained_bytes_fate="read"\} 2$/m)
  expect(text).toMatch(/^http_client_open_connections\{.*http_connection_state="idle"\} 1$/m)
  expect(contentType).toContain('version=0.0.4')
})
