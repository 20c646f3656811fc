/** Does the same for all of them, whatever one of them throws. */

/** @throws the first of the errors, once it is done for all */
export function forAll<T>(items: Iterable<T>, act: (item: T) => void): void {
  const errors: unknown[] = []
  for (const item of items) {
    try {
      act(item)
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}
