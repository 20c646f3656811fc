/** Signals that go on following others until they are collected themselves: Node lets go of what they follow. */
import { isForeignRequest } from './classes.ts'

/** What a signal follows lives as long as the signal. */
const followed = new WeakMap<AbortSignal, object>()

/** The signal of a Request: it follows the one the Request was made with, but only while the Request lives. */
export function signalOf(request: Request): AbortSignal {
  const { signal } = request
  // Others hand out the caller's own, which may live as long as the program.
  if (!isForeignRequest(request)) followed.set(signal, request)
  return signal
}

/** `AbortSignal.any`, which refers to the signals it follows only weakly. */
export function eitherOf(...signals: readonly AbortSignal[]): AbortSignal {
  const either = AbortSignal.any([...signals])
  followed.set(either, signals)
  return either
}
