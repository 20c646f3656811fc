/** undici's parser must never be entered from inside one of its own callbacks, whoever gives up, pauses or makes room there. */
import { Agent, type Dispatcher } from 'undici'
import { expect, test } from 'vitest'
import { createClient, drain } from '../../src/index.ts'
import { testClient, works } from '../support/client.ts'
import { createOrigin } from '../support/origin.ts'
import { pattern, serveShapes } from '../support/shapes.ts'
import { until } from '../support/until.ts'
import { forgetsBodies } from '../support/forgotten.ts'

forgetsBodies()

const head = (size: number): string => `HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`

test('a body given up from inside the callback of another one is drained', async () => {
  await using origin = await createOrigin(async (_, reply) => {
    await reply.write(head(300_000))
    await reply.write(pattern(300_000))
  })
  const agent = new Agent({ connections: 2 })
  const dispatcher = agent.compose(drain({ readAhead: 0 }))
  const controllers: Dispatcher.DispatchController[] = []
  const errors: string[] = []
  for (let i = 0; i < 2; i++) {
    dispatcher.dispatch(
      { origin: origin.url, path: '/', method: 'GET' },
      {
        onRequestStart: () => {},
        onResponseStart(controller) {
          controllers.push(controller)
          if (controllers.length < 2) controller.pause()
        },
        // The first is paused; the second gives it up while undici parses.
        onResponseData: () => controllers[0]?.abort(new Error('given up')),
        onResponseError: (_, error) => void errors.push(error.message),
        onResponseEnd: () => void errors.push('end'),
      },
    )
  }
  await until(() => errors.length === 2, 'both ended')
  expect(errors.toSorted()).toEqual(['end', 'given up'])
  await until(() => origin.open === 2, 'both connections stay')
  expect(origin.resets).toBe(0)
  await agent.destroy()
})

test('bodies beyond the memory of the process wait, and go on when there is room', async () => {
  const size = 100_000
  await using origin = await createOrigin(async (_, reply) => {
    await reply.write(head(size))
    await reply.write(pattern(size))
  })
  const client = createClient({ connections: 20, drain: { memory: 5 * size, stall: 60_000 } })
  const kept = await Promise.all(Array.from({ length: 20 }, () => client.fetch(`${origin.url}/`)))
  await until(() => client.stats().bytes.held === 5 * size, 'memory is full')
  expect(client.stats().sockets.inFlight).toBeGreaterThanOrEqual(14)
  for (const response of kept)
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), pattern(size))).toBe(0)
  expect(client.stats()).toMatchObject({ bodies: { read: 20 }, bytes: { held: 0 }, processHeld: 0 })
  await client.close()
})

test('more unread bodies at once than memory and connections hold are all answered in the end', async () => {
  await using origin = await createOrigin(serveShapes)
  await using client = testClient({ connections: 8, drain: { memory: 1024 * 1024, stall: 50 } })
  const kept: Response[] = []
  const worker = async (): Promise<void> => {
    while (kept.length < 60) kept.push(await client.fetch(`${origin.url}/404%20with%20256%20KiB`))
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  await works(client, origin.url)
  expect(client.stats().bytes.held).toBeLessThanOrEqual(1024 * 1024)
  for (const response of kept) await response.body?.cancel().catch(() => {})
})
