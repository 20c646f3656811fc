/** Bodies both sides know. */
const MiB = 1024 * 1024

export const json: string = JSON.stringify({
  id: 1,
  name: 'drained',
  tags: ['a', 'b'],
  at: '2026-01-01T00:00:00Z',
})
/** Bytes of a large body, either way. */
export const large: number = 64 * MiB
/** Bytes of the body that comes in chunks of 100. */
export const chunked: number = MiB
/** Bytes of the blobs that are downloaded. */
export const blobs = { small: 1024, large: 16 * MiB } as const
