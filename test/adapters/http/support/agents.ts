/** Agents for one test: at its end nothing may be open, waiting or draining. */
import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { expect } from 'vitest'
import { DrainedAgent, type DrainedAgentOptions } from '../../../../src/adapters/node-http.ts'
import { until } from '../../../support/until.ts'

export function testAgent(
  options: http.AgentOptions & DrainedAgentOptions = {},
): DrainedAgent & AsyncDisposable {
  const agent = new DrainedAgent({ maxSockets: 1, ...options })
  return Object.assign(agent, {
    async [Symbol.asyncDispose]() {
      await until(() => agent.stats().sockets.draining === 0, 'drains ended')
      agent.destroy()
      await until(() => agent.stats().sockets.open === 0, 'sockets closed')
      const { requests, bodies, bytes } = agent.stats()
      expect(requests).toEqual({ waiting: 0, inFlight: 0, resent: 0 })
      // Whole bodies that the test still holds are all that may be left.
      expect(bodies.open).toBe(bodies.holding)
      expect(bytes.held > 0).toBe(bodies.holding > 0)
    },
  })
}

export interface Got {
  readonly request: ClientRequest
  readonly response: IncomingMessage
}

/** Sends a request; resolves with its response, its body untouched. */
export function get(url: string, options: RequestOptions): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, options, (response) => resolve({ request, response }))
    request.on('error', reject).end()
  })
}

export async function read(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** The body of a small answer: proof that the agent still works. */
export async function works(agent: http.Agent, url: string): Promise<void> {
  const { response } = await get(`${url}/ok`, { agent })
  expect(String(await read(response))).toBe('ok')
}
