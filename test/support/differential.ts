/** One generated call, answer and caller in one lane: what the server saw and what the caller saw, as data that can be compared. */
import { createHash } from 'node:crypto'
import { type AnswerSpec, sendAnswer, sendHop } from './differential/answer.ts'
import { type CallSpec, makeCall } from './differential/call.ts'
import { Caller, type CallerSpec } from './differential/caller.ts'
import { lanes, normalised, tellError, tellResponse } from './lanes.ts'
import { createRecorder, type Recorded } from './recorder.ts'

export interface RunSpec {
  readonly call: CallSpec
  readonly answer: AnswerSpec
  readonly caller: CallerSpec
}

export interface Observation {
  readonly server: unknown
  readonly caller: unknown
  readonly isResponse: boolean
}

/** A lane that takes longer hangs: nothing in a run waits for time. */
const patience = 4_000

export async function observe(name: keyof typeof lanes, spec: RunSpec): Promise<Observation> {
  // Of its own: what is still on its way when a run ends must not be seen by the next.
  await using here = await createRecorder()
  await using other = await createRecorder()
  const { call, caller } = spec
  const seen: Recorded[] = []
  const events: unknown[] = []
  const released = Promise.withResolvers<void>()
  const controller = new AbortController()
  const abort = (): void => controller.abort(caller.reason)
  let left = [...spec.answer.hops]
  let isCut = false
  here.script = other.script = async (request, reply) => {
    seen.push(request)
    if (caller.aborts === 'at the server') {
      await reply.whole
      abort()
      await reply.gone
      return
    }
    await reply.whole
    const [hop, ...rest] = left
    left = rest
    if (hop === undefined)
      await sendAnswer(spec.answer, reply, request.method, Promise.race([released.promise, reply.gone]))
    else sendHop(hop, reply, here.url, other.url)
  }

  // With integrity metadata fetch reads the body before it answers.
  if ([call.init, call.over].some((init) => Boolean(init?.more['integrity']))) released.resolve()
  // The first half of a coded body may decode to nothing.
  const hasFirstChunk = spec.answer.body.length > 0 && spec.answer.codings.length === 0

  await using lane = lanes[name]()
  if (caller.aborts === 'before') abort()
  const run = async (): Promise<unknown[]> => {
    const calling = makeCall(call, lane, here.url, events, controller.signal)
    if (caller.aborts === 'at once') abort()
    let response
    try {
      response = await calling
    } catch (error) {
      isCut = true
      return [tellError(error), error === controller.signal.reason]
    } finally {
      if (!hasFirstChunk || !caller.steps.includes('first chunk')) released.resolve()
    }
    const told = tellResponse(response)
    const drive = new Caller(response, abort)
    for (const step of caller.steps) {
      await drive.take(step)
      released.resolve()
    }
    await drive.end()
    return [told, ...drive.log]
  }
  let timer
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} hangs`)), patience)
  })
  try {
    const log = await Promise.race([run(), late])
    const ports = [here.port, other.port] as const
    return {
      // What was cut off has come as far as it happened to, on either side.
      server: normalised(seen.filter(({ isWhole }) => !isCut || isWhole).map(tellRequest), ports),
      isResponse: !isCut,
      caller: shortened(normalised([log, isCut ? [] : events], ports)),
    }
  } finally {
    released.resolve()
    clearTimeout(timer)
  }
}

function tellRequest(request: Recorded): unknown {
  const { method, target, headers, body, isWhole } = request
  // undici closes the connection of every HEAD, ours keep it: an intended difference.
  const kept = method === 'HEAD' ? headers.filter(([name]) => name !== 'connection') : headers
  return { method, target, headers: kept, body: shortened(normalisedBytes(body)), isWhole }
}

const normalisedBytes = (bytes: Buffer): unknown => normalised(bytes, [-1, -1])

/** Long text as its length and hash: readable, and as good for comparing. */
function shortened(value: unknown): unknown {
  if (typeof value === 'string' && value.length > 400) {
    return `${value.length} characters, ${createHash('sha1').update(value).digest('hex')}`
  }
  if (Array.isArray(value)) return value.map(shortened)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shortened(inner)]))
}
