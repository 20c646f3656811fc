/** Large bodies given up after their headers. */
import { giveUps } from '../clients.ts'
import { messageOf } from '../run.ts'

export interface GiveUp {
  readonly kind: 'timewait'
  readonly how: string
  readonly url: string
  readonly count: number
}

export async function timewait({ how, url, count }: GiveUp): Promise<{ failures: string[] }> {
  const call = giveUps[how]?.()
  if (call === undefined) throw new Error(`no way ${how}`)
  const failures: string[] = []
  let started = 0
  const worker = async (): Promise<void> => {
    while (started++ < count) await call(url).catch((error: unknown) => void failures.push(messageOf(error)))
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  return { failures }
}
