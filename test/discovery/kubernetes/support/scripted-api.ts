import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { vi } from 'vitest'

/**
 * An API server that holds objects in memory, and does at a wink what a real one does seldom: it forgets versions, breaks
 * lines, stays silent, refuses.
 */
export interface ScriptedApi extends AsyncDisposable {
  readonly address: string
  put(kind: Kind, object: Record<string, unknown>): void
  drop(kind: Kind, name: string): void
  /** Sends this to every open watch of the kind, as it is. */
  send(kind: Kind, text: string): void
  /** Closes the connection of every watch; `half`: inside of a line. */
  cut(half?: string): void
  /** Ends every watch as it should end. */
  endWatches(): void
  /** Answers every question so; null: as it should. Watches that are open stay. */
  fail: ((request: IncomingMessage) => Failure | null) | null
  /** The most recent versions only are known: an older watch gets 410. */
  forget(): void
  /** Objects of one page. */
  page: number
  /** Questions so far: `list services 0`, `watch endpointslices 12`. */
  readonly asked: string[]
  readonly queries: URLSearchParams[]
  watches(): number
  stop(): Promise<void>
  start(): Promise<void>
}

export type Kind = 'services' | 'endpointslices'

export type Failure =
  | 'hang'
  | 'reset'
  | { readonly status: number; readonly body: unknown; readonly headers?: Record<string, string> }

interface Watch {
  readonly kind: Kind
  readonly selector: ReadonlySet<string> | null
  readonly response: ServerResponse
}

export async function scriptedApi(): Promise<ScriptedApi> {
  const objects: Record<Kind, Map<string, Record<string, unknown>>> = { services: new Map(), endpointslices: new Map() }
  const history: { readonly kind: Kind; readonly version: number; readonly type: string; readonly object: object }[] =
    []
  const watches = new Set<Watch>()
  let version = 10
  let oldest = 0
  let port = 0

  function note(kind: Kind, type: string, object: Record<string, unknown>): void {
    const event = { kind, version, type, object }
    history.push(event)
    for (const watch of watches) tell(watch, event)
  }

  function tell({ kind, selector, response }: Watch, event: (typeof history)[number]): void {
    if (event.kind === kind && !response.writableEnded && isSelected(event.object as Record<string, unknown>, selector))
      response.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`)
  }

  const isSelected = (object: Record<string, unknown>, selector: ReadonlySet<string> | null) =>
    selector === null ||
    selector.has(
      (object as { metadata: { labels: Record<string, string> } }).metadata.labels['kubernetes.io/service-name']!,
    )

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url!, 'http://api')
    const { searchParams: query, pathname } = url
    const [, kind, name] = /\/(services|endpointslices)(?:\/([^/]+))?$/.exec(pathname) as unknown as [
      string,
      Kind,
      string | undefined,
    ]
    const at = query.get('resourceVersion') ?? ''
    const what = name !== undefined ? `get ${pathname}` : `${query.has('watch') ? 'watch' : 'list'} ${kind} ${at}`
    api.asked.push(what.trim())
    api.queries.push(query)
    const failure = api.fail?.(request) ?? null
    if (failure === 'hang') return
    if (failure === 'reset') return void request.socket.destroy()
    if (failure !== null) return answer(response, failure.status, failure.body, failure.headers)
    const names = /in \((.*)\)/.exec(query.get('labelSelector') ?? '')?.[1]
    const selector = names === undefined ? null : new Set(names.split(','))
    if (name !== undefined) {
      const found = objects[kind].get(name)
      return found === undefined
        ? answer(response, 404, { kind: 'Status', code: 404, message: `services "${name}" not found` })
        : answer(response, 200, found)
    }
    if (query.has('watch')) {
      if (Number(at) < oldest) return answer(response, 410, { kind: 'Status', code: 410, message: 'too old' })
      response.writeHead(200)
      response.flushHeaders()
      const watch = { kind, selector, response }
      for (const event of history) if (event.version > Number(at)) tell(watch, event)
      watches.add(watch)
      response.on('close', () => watches.delete(watch))
      return
    }
    const all = [...objects[kind].values()].filter(object => isSelected(object, selector))
    const from = Number(query.get('continue') ?? 0)
    const items = all.slice(from, from + api.page)
    const more = from + api.page < all.length ? { continue: String(from + api.page) } : {}
    answer(response, 200, { kind: 'List', metadata: { resourceVersion: String(version), ...more }, items })
  }

  const server = createServer(onRequest)
  const api: ScriptedApi = {
    get address() {
      return `http://127.0.0.1:${port}`
    },
    put(kind, object) {
      version++
      const metadata = { ...(object.metadata as object), resourceVersion: String(version) }
      const whole = { ...object, metadata }
      const { name } = metadata as unknown as { name: string }
      const type = objects[kind].has(name) ? 'MODIFIED' : 'ADDED'
      objects[kind].set(name, whole)
      note(kind, type, whole)
    },
    drop(kind, name) {
      const gone = objects[kind].get(name) as { metadata: object }
      objects[kind].delete(name)
      version++
      note(kind, 'DELETED', { ...gone, metadata: { ...gone.metadata, resourceVersion: String(version) } })
    },
    send(kind, text) {
      for (const watch of watches) if (watch.kind === kind) watch.response.write(text)
    },
    cut(half) {
      for (const { response } of [...watches]) {
        if (half !== undefined) response.write(half)
        setImmediate(() => response.socket?.destroy())
      }
    },
    endWatches() {
      for (const { response } of [...watches]) response.end()
    },
    fail: null,
    forget() {
      oldest = version
    },
    page: 500,
    asked: [],
    queries: [],
    watches: () => watches.size,
    async stop() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
    start: () =>
      new Promise(resolve => {
        server.listen(port, '127.0.0.1', () => {
          port = (server.address() as AddressInfo).port
          resolve()
        })
      }),
    async [Symbol.asyncDispose]() {
      if (server.listening) await api.stop()
    },
  }
  await api.start()
  return api
}

function answer(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

/** Until it is so: the time is real here, and what is waited for takes milliseconds. */
export function soon(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000, interval: 5 })
}

type Port = { readonly name?: string; readonly port: number; readonly protocol?: string; readonly appProtocol?: string }

export function service(
  name: string,
  ports: readonly Port[] = [{ port: 80 }],
  spec: object = {},
): Record<string, unknown> {
  return {
    metadata: { name },
    spec: { type: 'ClusterIP', clusterIPs: ['10.0.0.5'], ipFamilies: ['IPv4'], ports, ...spec },
  }
}

type Conditions = {
  readonly ready?: boolean | null
  readonly serving?: boolean | null
  readonly terminating?: boolean | null
}

export function endpoint(address: string, conditions: Conditions = { ready: true }, more: object = {}): object {
  return { addresses: [address], conditions, ...more }
}

export function slice(
  name: string,
  of: string,
  endpoints: readonly object[],
  more: object = {},
): Record<string, unknown> {
  return {
    metadata: { name, labels: { 'kubernetes.io/service-name': of } },
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints,
    ...more,
  }
}
