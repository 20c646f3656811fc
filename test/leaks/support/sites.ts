/** Fifty places that end what they fetch, each in its own way, and three that do not. */
import { type Client, discard } from '../../../src/index.ts'

/** A path of the origin of {@link serve}: so many bytes, after which nothing comes, at once or never. */
export type Place = (client: Client, url: string) => Promise<void>

const endings: ((response: Response & AsyncDisposable) => unknown)[] = [
  (response) => response.text(),
  (response) => response.arrayBuffer(),
  (response) => response.bytes(),
  (response) => response.blob(),
  (response) => response.body?.cancel(),
  (response) => response[Symbol.asyncDispose](),
  (response) => discard(response),
  async (response) => {
    for await (const _ of response.body ?? []) break
  },
  async (response) => {
    for await (const _ of response.body ?? []) void _
  },
  async (response) => {
    const copy = response.clone()
    await Promise.all([copy.text(), response.text()])
  },
]

/** One call for each size and each way to end it. */
export const honest: readonly Place[] = [40, 4_000, 200_000, 3_000_000].flatMap((size) =>
  endings.map(
    (end): Place =>
      async (client, url) =>
        void (await end(await client.fetch(`${url}/${size}`))),
  ),
)

/** Nothing to read, whoever does not read it. */
export const empty: readonly Place[] = [
  async (client, url) => void (await client.fetch(`${url}/40`, { method: 'HEAD' })),
  async (client, url) => void (await client.fetch(`${url}/3000000`, { method: 'HEAD' })),
  async (client, url) => void (await client.fetch(`${url}/status/204`)),
  async (client, url) => void (await client.fetch(`${url}/status/304`)),
  async (client, url) => void (await client.fetch(`${url}/0`)),
  async (client, url) => void (await client.fetch(`${url}/chunked`)),
  async (client, url) => void (await client.fetch(`${url}/late`)),
  async (client, url) => void (await (await client.fetch(`${url}/redirect`)).text()),
  async (client, url) => void (await (await client.fetch(`${url}/flaky`, { retry: 3 })).text()),
  async (client, url) => void (await client.fetch(`${url}/refused`, { redirect: 'error' }).catch(() => {})),
]

export async function forgetsSmall(client: Client, url: string): Promise<boolean> {
  const response = await client.fetch(`${url}/40?sig=secret`)
  return response.ok
}

export async function forgetsLarge(client: Client, url: string): Promise<number> {
  const { status } = await client.fetch(`${url}/3000000`)
  return status
}

export const leavesHalfway = async (client: Client, url: string): Promise<void> => {
  const { body } = await client.fetch(`${url}/3000000/halfway`)
  await body?.getReader().read()
}

/** Name of the function, then what it has to contain. */
export const leaking: Readonly<Record<string, Place>> = {
  forgetsSmall: async (client, url) => void (await forgetsSmall(client, url)),
  forgetsLarge: async (client, url) => void (await forgetsLarge(client, url)),
  leavesHalfway,
}

/** Responses that are kept for later, which never comes: the collector finds nothing. */
const kept: Response[] = []

async function keepsWhole(client: Client, url: string): Promise<void> {
  kept.push(await client.fetch(`${url}/3000000/whole`))
}

async function keepsStalled(client: Client, url: string): Promise<void> {
  const response = await client.fetch(`${url}/stalls`)
  if (response.ok) kept.push(response)
}

const keepsPosted = async (client: Client, url: string): Promise<void> => {
  const init = { method: 'POST', body: 'x' }
  kept.push(await client.fetch(`${url}/5000000`, init))
}

/** Each keeps a connection; the same by name. */
export const keeping: Readonly<Record<string, Place>> = { keepsWhole, keepsStalled, keepsPosted }
