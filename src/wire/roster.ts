/**
 * Bodies in order of arrival, each in one roster at a time and linked by itself. Not a Set: the tables a Set has outgrown keep the
 * bodies of their time alive until a full collection, which made every scavenge several times longer.
 */

export class Rostered {
  /** @internal */
  roster: Roster<Rostered> | undefined
  /** @internal */
  previous: Rostered | undefined
  /** @internal */
  next: Rostered | undefined
}

export class Roster<T extends Rostered> {
  #first: T | undefined
  #last: T | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): T | undefined {
    return this.#first
  }

  add(member: T): void {
    member.roster?.remove(member)
    member.roster = this as unknown as Roster<Rostered>
    member.previous = this.#last
    if (this.#last === undefined) this.#first = member
    else this.#last.next = member
    this.#last = member
    this.#size++
  }

  /** False if it is not in this one. Its links are cut: it may live long, and must not keep its successors alive. */
  remove(member: T): boolean {
    if (member.roster !== (this as unknown)) return false
    const { previous, next } = member
    if (previous === undefined) this.#first = next as T | undefined
    else previous.next = next
    if (next === undefined) this.#last = previous as T | undefined
    else next.previous = previous
    member.roster = member.previous = member.next = undefined
    this.#size--
    return true
  }

  /** A copy: whoever goes through it may change it. */
  all(): T[] {
    const members: T[] = []
    for (let member = this.#first; member !== undefined; member = member.next as T | undefined)
      members.push(member)
    return members
  }
}
