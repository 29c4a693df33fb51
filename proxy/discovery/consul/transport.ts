import type { Agent, AgentOptions, ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { AgentOptions as TlsOptions } from 'node:https'
import type { ConsulSpec } from '../../../mesh-config/snapshot.ts'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { rotatingTls } from '../rotating-tls.ts'

/** Ten thousand instances take about 12 MiB. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024
/** Queries that are answered at once share this many connections: an agent takes 200 from a host in all. */
const QUICK_CONNECTIONS = 8
/** TCP keep-alive: finds a connection that a firewall dropped while a query waits on it. */
const KEEP_ALIVE_MS = 15_000

/** Sends the requests of papi, the HTTP client inside the package `consul`. */
export interface Transport {
  request(options: RequestOptions): ClientRequest
}

export interface Transports {
  /** For queries that wait at Consul, a connection each. */
  readonly parked: Transport
  readonly quick: Transport
  close(): void
}

export interface TransportDeps {
  readonly clock: Clock
  readonly log: Log
  /** PEM; for an https address without `tls.ca`. Absent: Node's own. */
  readonly systemCertificates?: () => readonly string[]
  /** Resolves the host of the address, where it is a name. Absent: as Node does, in a thread of the process. */
  readonly lookup?: AgentOptions['lookup']
}

type Http = typeof import('node:https')

/** The connections of one generation of certificates. */
interface Connections {
  readonly parked: Agent
  readonly quick: Agent
}

/**
 * Kept connections to Consul; those of https get new certificates when the files change. It closes gaps of papi: an
 * answer that breaks off would never end, an answer without bounds would never stop, and an IPv6 address in brackets
 * would be taken for a name.
 */
export function transports(spec: ConsulSpec, deps: TransportDeps): Transports {
  const secure = spec.address.startsWith('https:')
  const http = process.getBuiltinModule(secure ? 'node:https' : 'node:http') as Http
  const made: Connections[] = []
  const connect = (options: TlsOptions) => {
    const fresh = connections(http, deps.lookup === undefined ? options : { ...options, lookup: deps.lookup })
    made.push(fresh)
    return fresh
  }
  const current = secure ? rotatingTls({ ...spec, server: 'Consul' }, connect, retire, deps) : always(connect({}))
  const lane = (kind: keyof Connections): Transport => ({
    request(options) {
      const hostname = options.hostname?.replace(/^\[|\]$/g, '')
      return guarded(
        http.request({ ...options, ...(hostname === undefined ? {} : { hostname }), agent: current()[kind] }),
      )
    },
  })
  return {
    parked: lane('parked'),
    quick: lane('quick'),
    close() {
      for (const { parked, quick } of made) {
        parked.destroy()
        quick.destroy()
      }
    },
  }
}

const kept = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, scheduling: 'lifo' } as const

function connections(http: Http, options: TlsOptions): Connections {
  return {
    parked: new http.Agent({ ...options, ...kept, maxFreeSockets: QUICK_CONNECTIONS }),
    quick: new http.Agent({ ...options, ...kept, maxSockets: QUICK_CONNECTIONS, maxFreeSockets: QUICK_CONNECTIONS }),
  }
}

function always<T>(value: T): () => T {
  return () => value
}

/** Idle connections close now; a query that waits on another gets its answer first. */
function retire({ parked, quick }: Connections): void {
  for (const agent of [parked, quick]) {
    ;(agent as Agent & { keepAlive: boolean }).keepAlive = false
    for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
  }
}

function guarded(request: ClientRequest): ClientRequest {
  const fail = (error: Error) => {
    request.destroy()
    request.emit('error', error)
  }
  request.once('response', (response: IncomingMessage) => {
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES) fail(new Error(`the answer is larger than ${MAX_ANSWER_BYTES >> 20} MiB`))
    })
    // Without a listener the error would be thrown; `close` follows.
    response.on('error', () => {})
    response.once('close', () => {
      if (!response.complete) fail(new Error('the connection broke inside the answer'))
    })
  })
  return request
}
