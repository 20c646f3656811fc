/** Bytes received ahead of their reader, and the one budget that all bodies of the process share. */

/** Chunks below this are copied together: a one-byte chunk would otherwise keep a Buffer object and its whole read alive. */
const small = 4 * 1024
/** Room for small chunks; four of the smallest large chunks. */
const blockSize = 16 * 1024

/** What every queue starts with; never changed. */
const none: Buffer[] = []

/** A queue of received bytes in order. */
export class HeldBytes {
  #blocks: Buffer[] = none
  /** Bytes used of the last block while small chunks are copied into it, else -1. */
  #used = -1
  /** Bytes waiting for the reader. */
  length = 0

  push(chunk: Buffer): void {
    this.length += chunk.length
    // The first is often the only one, and is often read before the turn ends; else `compact` copies it.
    if (this.#blocks.length === 0) {
      // Not pushed: that would make room for sixteen more.
      this.#blocks = [chunk]
      return
    }
    if (chunk.length >= small) {
      this.#seal()
      this.#blocks.push(chunk)
      return
    }
    let rest = chunk
    while (rest.length > 0) {
      if (this.#used === -1) {
        this.#blocks.push(Buffer.allocUnsafeSlow(blockSize))
        this.#used = 0
      }
      const copied = rest.copy(this.#blocks.at(-1) as Buffer, this.#used)
      this.#used += copied
      rest = rest.subarray(copied)
      if (this.#used === blockSize) this.#used = -1
    }
  }

  /** The oldest bytes, or undefined when nothing is held. */
  shift(): Buffer | undefined {
    if (this.#blocks.length === 1) this.#seal()
    const chunk = this.#blocks.shift()
    if (chunk !== undefined) this.length -= chunk.length
    return chunk
  }

  /** Copies what keeps much more memory alive than it is long: these bytes will stay a while. */
  compact(): void {
    if (this.#used !== -1 && this.#blocks.length === 1) this.#seal()
    for (const [at, block] of this.#blocks.entries()) {
      if (this.#used !== -1 && at === this.#blocks.length - 1) break
      if (block.buffer.byteLength <= 2 * block.length) continue
      const copy = Buffer.allocUnsafeSlow(block.length)
      block.copy(copy)
      this.#blocks[at] = copy
    }
  }

  clear(): void {
    this.#blocks = none
    this.#used = -1
    this.length = 0
  }

  #seal(): void {
    if (this.#used === -1) return
    const last = this.#blocks.length - 1
    this.#blocks[last] = (this.#blocks[last] as Buffer).subarray(0, this.#used)
    this.#used = -1
  }
}

/** Something that stopped the wire only because the budget was used up, and is told when there is room again. */
export interface Waiting {
  onRoom(): void
}

/** Counts the bytes held by the whole process; each client brings its own limit. */
class Budget {
  /** Bytes held or promised now. */
  used = 0
  readonly #waiting = new Set<Waiting>()
  #isTelling = false

  /** Takes `bytes` if they fit under `limit`. */
  take(bytes: number, limit: number): boolean {
    if (this.used + bytes > limit) return false
    this.used += bytes
    return true
  }

  /** Takes bytes that have arrived already and cannot be refused. */
  force(bytes: number): void {
    this.used += bytes
  }

  give(bytes: number): void {
    if (bytes === 0) return
    this.used -= bytes
    if (this.#waiting.size === 0 || this.#isTelling) return
    this.#isTelling = true
    // Not now: undici's parser must not be entered twice, and whoever gives may be called by it.
    queueMicrotask(() => {
      this.#isTelling = false
      // A copy: one that finds no room puts itself back, and would be asked for ever.
      for (const body of Array.from(this.#waiting)) {
        this.#waiting.delete(body)
        body.onRoom()
      }
    })
  }

  wait(body: Waiting): void {
    this.#waiting.add(body)
  }

  forget(body: Waiting): void {
    if (this.#waiting.size > 0) this.#waiting.delete(body)
  }
}

/** The budget of this process. */
export const budget: Budget = new Budget()
