/** A program that leaks, starves and is taken from, with secrets in every call. Run with DEBUG=drained:*. */
import { collectGarbage } from '../../../src/garbage.ts'
import { createClient } from '../../../src/index.ts'
import { serve } from './serve.ts'

const origin = await serve()
const client = createClient({ connections: 1, leaks: 'all', queue: { warn: 20 }, drain: { stall: 100 } })
const fetch = (path: string): Promise<Response> =>
  client.fetch(`${origin.url}${path}?sig=zQsecretQz&X-Amz-Signature=zQsecretQz`, {
    headers: { authorization: 'Bearer zQsecretQz', cookie: 'session=zQsecretQz' },
  })
const kept = await fetch('/stalls')
await (await fetch('/40')).text()
await kept.text().catch(() => {})
await (async () => void (await fetch('/40')))()
await collectGarbage()
await client.destroy()
await origin[Symbol.asyncDispose]()
console.log('done')
