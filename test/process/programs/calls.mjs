/** What a program does that leaves answers unread: with each client in turn, one call after another, every answer kept. */

/** @param {Record<string, (url: string) => Promise<unknown>>} clients */
export async function callAll(clients) {
  const [urls, count, ...names] = process.argv.slice(2)
  const kept = []
  for (const [name, call] of Object.entries(clients)) {
    if (names.length > 0 && !names.includes(name)) continue
    for (const url of urls.split(',')) {
      for (let i = 0; i < Number(count); i++)
        kept.push(await call(`${url}?client=${encodeURIComponent(name)}`))
    }
  }
  console.log(`${kept.length} answers kept`)
  process.exit(0)
}

/** Each as its users call it, given what a program has imported. */
export const clientsOf = ({ undici, ky, axios, got, nodeFetch, http }) => ({
  "Node's fetch": (url) => fetch(url),
  'undici.fetch': (url) => undici.fetch(url),
  'undici.request': (url) => undici.request(url),
  ky: (url) => ky(url, { throwHttpErrors: false, retry: 0 }),
  'axios, fetch': (url) => axios.get(url, { adapter: 'fetch', responseType: 'stream', validateStatus: null }),
  'axios, http': (url) => axios.get(url, { adapter: 'http', responseType: 'stream', validateStatus: null }),
  got: (url) =>
    new Promise((resolve, reject) => {
      const stream = got.stream(url, { throwHttpErrors: false, retry: { limit: 0 } })
      stream.once('response', () => resolve(stream)).once('error', reject)
    }),
  'node-fetch': (url) => nodeFetch(url),
  'node:http': (url) => new Promise((resolve, reject) => http.get(url, resolve).on('error', reject)),
})
