/**
 * A second request for a slow first one. The first answer wins; the other request is aborted, and its response given up if it comes all
 * the same.
 */
import { BodyGivenUpError } from '../errors.ts'
import type { OwnedResponse } from '../fetch/response.ts'
import { eitherOf } from '../fetch/signals.ts'
import { dispose } from './outcome.ts'

/** One request; it ends when its signal aborts. */
export type Leg = (signal: AbortSignal) => Promise<OwnedResponse>

/**
 * @param signal of the caller
 * @param after milliseconds without an answer
 * @param mayHedge asked when the second request is due
 * @param isAnswer false for a response that only wins if the other request has nothing better
 */
export async function hedged(
  leg: Leg,
  signal: AbortSignal | null | undefined,
  after: number,
  mayHedge: () => boolean,
  isAnswer: (response: Partial<OwnedResponse> | null) => boolean,
): Promise<OwnedResponse> {
  const legs: Running[] = []
  const { promise, resolve } = Promise.withResolvers<Running>()
  const start = (): void => {
    const running = run(leg, signal)
    legs.push(running)
    void running.ended.then((response) => {
      const others = legs.filter((other) => other !== running && !other.isOver)
      running.isOver = true
      // Without an answer the last one to end wins.
      if (others.length === 0 || (response !== undefined && isAnswer(response))) resolve(running)
    })
  }
  start()
  const timer = setTimeout(() => {
    if (!signal?.aborted && mayHedge()) start()
  }, after)
  const winner = await promise
  clearTimeout(timer)
  for (const running of legs) if (running !== winner) running.giveUp()
  return winner.result
}

interface Running {
  readonly result: Promise<OwnedResponse>
  /** Of the result: the response, or undefined if it failed. Never rejects. */
  readonly ended: Promise<OwnedResponse | undefined>
  isOver: boolean
  giveUp(): void
}

function run(leg: Leg, signal: AbortSignal | null | undefined): Running {
  const own = new AbortController()
  const result = leg(signal ? eitherOf(signal, own.signal) : own.signal)
  const ended = result.then(
    (response) => response,
    () => undefined,
  )
  return {
    result,
    ended,
    isOver: false,
    giveUp() {
      own.abort(new BodyGivenUpError('Another request was answered first'))
      void ended.then(dispose)
    },
  }
}
