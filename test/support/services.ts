/** Services for one test: at its end nothing may be open, waiting or draining in any of them. */
import { expect } from 'vitest'
import { createServices, type Services, type ServicesOptions } from '../../src/index.ts'
import { until } from './until.ts'

export function testServices<Name extends string>(options: ServicesOptions<Name>): Services<Name> {
  const services = createServices(options)
  const every = (): ReturnType<Services['stats']>[string][] => Object.values(services.stats())
  return {
    ...services,
    async [Symbol.asyncDispose]() {
      await until(() => every().every(({ sockets }) => sockets.draining === 0), 'drains ended')
      await services.destroy()
      await until(() => every().every(({ sockets }) => sockets.open === 0), 'sockets closed')
      for (const { requests, bodies } of every()) {
        expect(requests).toEqual({ waiting: 0, inFlight: 0, resent: 0 })
        expect(bodies.open).toBe(bodies.holding)
      }
    },
  }
}
