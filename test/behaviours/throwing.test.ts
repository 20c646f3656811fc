/** A handler of the user that throws when its client is destroyed is the only one that suffers from it. */
import type { Dispatcher } from 'undici'
import { expect, test } from 'vitest'
import { createClient } from '../../src/index.ts'
import { createOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'

test('destroy() ends everything although handlers throw, and rejects with the first of their errors', async () => {
  await using one = await createOrigin(() => {})
  await using other = await createOrigin(() => {})
  const client = createClient({ connections: 1 })
  const told: string[] = []
  function dispatch(origin: string, name: string, then: () => void = () => {}): void {
    const handler: Dispatcher.DispatchHandler = {
      // Without it undici takes the handler for one of before version 7.
      onRequestStart() {},
      onResponseError() {
        told.push(name)
        then()
      },
    }
    client.dispatcher.dispatch({ origin, path: '/', method: 'GET' }, handler)
  }
  const throws = (text: string) => () => {
    throw new Error(text)
  }
  dispatch(one.url, 'on the wire')
  dispatch(one.url, 'waits', throws('first'))
  dispatch(one.url, 'waits behind', throws('second'))
  dispatch(one.url, 'waits last')
  dispatch(other.url, 'elsewhere')
  await until(() => one.seen.length === 1 && other.seen.length === 1, 'sent')
  await expect(client.destroy(new Error('gone'))).rejects.toThrow('first')
  expect(told.toSorted()).toEqual(['elsewhere', 'on the wire', 'waits', 'waits behind', 'waits last'])
  await until(() => one.open === 0 && other.open === 0, 'no connection is left')
  expect(client.stats().requests).toMatchObject({ waiting: 0, inFlight: 0 })
})
