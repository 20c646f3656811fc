/** Of which class something is, of whose copy of it: Node's, undici's, or that of another fetch. */
import { Request as UndiciRequest } from 'undici'

/** By what it says of itself. */
export const isTagged = (value: unknown, tag: string): boolean =>
  Object.prototype.toString.call(value) === `[object ${tag}]`

/** Of any copy of the class: undici's, Node's, or another. */
export const isRequest = (input: unknown): input is Request => isTagged(input, 'Request')

/** Neither Node's nor undici's. */
export const isForeignRequest = (input: Request): boolean =>
  !(input instanceof Request || (input as unknown) instanceof UndiciRequest)
