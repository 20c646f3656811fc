/** Waits for a condition, never for a time. */

export async function until(condition: () => boolean, what: string, timeout = 8_000): Promise<void> {
  const deadline = performance.now() + timeout
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Not within ${timeout} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Collects garbage until the condition holds. Vitest runs its workers with --expose-gc. */
export async function untilCollected(condition: () => boolean, what: string): Promise<void> {
  await until(
    () => {
      ;(globalThis as { gc?: () => void }).gc?.()
      return condition()
    },
    what,
    10_000,
  )
}
