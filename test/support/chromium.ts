/** A headless Chromium, steered by its DevTools protocol: what a page shows, says and asks for. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** The command, if there is one. */
export const chromium: string | undefined = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => {
  try {
    execFileSync('which', [name], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})

export interface Page {
  /** What the browser has asked for, other than the page itself. */
  readonly requested: string[]
  /** Errors and warnings of its console. */
  readonly complaints: string[]
  /** The value of an expression in the page. */
  evaluate<T>(expression: string): Promise<T>
  screenshot(file: string): Promise<void>
}

export interface View {
  readonly width: number
  readonly height?: number
  readonly dark?: boolean
  readonly mobile?: boolean
}

export interface Browser extends AsyncDisposable {
  open(url: string, view: View): Promise<Page>
}

interface Message {
  readonly id?: number
  readonly sessionId?: string
  readonly method?: string
  readonly params?: Record<string, unknown>
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

type Send = (method: string, params?: object, sessionId?: string) => Promise<Record<string, unknown>>

const flags =
  '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars --remote-debugging-port=0'

export async function startChromium(command: string): Promise<Browser> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'drained-chromium-'))
  const child = spawn(command, [...flags.split(' '), `--user-data-dir=${folder}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(child, 'exit')
  const socket = new WebSocket(await addressOf(child.stderr))
  await once(socket, 'open')
  const listeners = new Set<(message: Message) => void>()
  const answers = new Map<number, (message: Message) => void>()
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message
    if (message.id === undefined) for (const listener of listeners) listener(message)
    else answers.get(message.id)?.(message)
  })
  let ids = 0
  const send: Send = (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      const id = ++ids
      answers.set(id, ({ result = {}, error }) =>
        error === undefined ? resolve(result) : reject(new Error(`${method}: ${error.message}`)),
      )
      socket.send(JSON.stringify({ id, method, params, sessionId }))
    })
  return {
    open: (url, view) => open(send, listeners, url, view),
    async [Symbol.asyncDispose]() {
      await send('Browser.close').catch(() => child.kill('SIGKILL'))
      await exited
      fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** It says where it listens on standard error. */
async function addressOf(output: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const chunk of output) {
    text += String(chunk)
    const [, address] = /DevTools listening on (ws:\S+)/.exec(text) ?? []
    if (address === undefined) continue
    output.resume()
    return address
  }
  throw new Error(`Chromium did not start: ${text}`)
}

async function open(
  send: Send,
  listeners: Set<(message: Message) => void>,
  url: string,
  view: View,
): Promise<Page> {
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
  const session = sessionId as string
  const requested: string[] = []
  const complaints: string[] = []
  const { promise: loaded, resolve: onLoad } = Promise.withResolvers<void>()
  listeners.add(({ sessionId: of, method, params = {} }) => {
    if (of !== session) return
    if (method === 'Page.loadEventFired') onLoad()
    const { request } = params as { request?: { url: string } }
    if (method === 'Network.requestWillBeSent' && request !== undefined && request.url !== url)
      requested.push(request.url)
    if (
      method === 'Runtime.exceptionThrown' ||
      method === 'Log.entryAdded' ||
      method === 'Runtime.consoleAPICalled'
    )
      complaints.push(JSON.stringify(params))
  })
  const { width, height = 800, dark = false, mobile = false } = view
  for (const domain of ['Page', 'Network', 'Runtime', 'Log']) await send(`${domain}.enable`, {}, session)
  await send(
    'Emulation.setDeviceMetricsOverride',
    { width, height, deviceScaleFactor: mobile ? 2 : 1, mobile },
    session,
  )
  await send(
    'Emulation.setEmulatedMedia',
    { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] },
    session,
  )
  await send('Page.navigate', { url }, session)
  await loaded
  return {
    requested,
    complaints,
    async evaluate<T>(expression: string) {
      const { result, exceptionDetails } = await send(
        'Runtime.evaluate',
        { expression, returnByValue: true, awaitPromise: true },
        session,
      )
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
      return (result as { value: T }).value
    },
    async screenshot(file) {
      const { data } = await send('Page.captureScreenshot', { captureBeyondViewport: true }, session)
      fs.writeFileSync(file, Buffer.from(data as string, 'base64'))
    },
  }
}
