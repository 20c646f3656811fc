/** msw 2, whose types are its own. */
import { http, HttpResponse } from 'msw2'
import { setupServer } from 'msw2/node'
import { isAnsweredBy } from './any-msw.ts'

isAnsweredBy(http as never, HttpResponse as never, setupServer as never, (server) =>
  (server as unknown as ReturnType<typeof setupServer>).listen({ onUnhandledRequest: 'bypass' }),
)
