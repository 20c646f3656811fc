/** msw 3. */
import { http, HttpResponse } from 'msw'
import { setupServer } from 'msw/node'
import { isAnsweredBy } from './any-msw.ts'

isAnsweredBy(http, HttpResponse, setupServer, (server) => server.listen({ onUnhandledFrame: 'bypass' }))
