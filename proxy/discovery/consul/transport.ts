import type { Agent, AgentOptions, ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { AgentOptions as TlsOptions } from 'node:https'
import type { ConsulSpec } from '../../../mesh-config/snapshot.ts'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { messageOf } from './answer.ts'
import { watchedFiles } from './watched-file.ts'

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
  const current = secure ? tlsConnections(spec, connect, deps) : always(connect({}))
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

function tlsConnections(
  { address, tls }: ConsulSpec,
  connect: (options: TlsOptions) => Connections,
  { clock, log, systemCertificates }: TransportDeps,
): () => Connections {
  const names = (['ca', 'cert', 'key'] as const).filter(name => tls[name] !== null)
  const files = watchedFiles(
    names.map(name => tls[name]!),
    clock,
  )
  const host = new URL(address).hostname.replace(/^\[|\]$/g, '')
  const servername = tls.serverName ?? (isAddress(host) ? '' : host)
  let latest: Connections | null = null
  let version = -1
  let warned = ''
  return () => {
    const texts = files.read()
    if (files.trouble() !== warned) {
      warned = files.trouble()
      if (warned !== '') log.warn(`the certificates for Consul stay as they are: a file ${warned}`)
    }
    if (latest !== null && version === files.version()) return latest
    if (latest !== null) retire(latest)
    version = files.version()
    const given = Object.fromEntries(names.map((name, i) => [name, texts[i]!]))
    const ca = given.ca ?? systemCertificates?.()
    latest = connect({ ...given, ...(ca === undefined ? {} : { ca: ca as string[] }), servername })
    return latest
  }
}

/** Server Name Indication is for names only (RFC 6066 section 3). */
function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':')
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

/** The error of a connection, in words. */
export function connectionTrouble(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ECONNREFUSED') return 'refuses connections: does an agent run there?'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'cannot be found by that name'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'closed the connection'
  if (code === 'ETIMEDOUT' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return `cannot be reached (${code})`
  // Of OpenSSL's message only the last words are useful.
  const reason = /:SSL routines:[^:]*:([^:]+)/.exec(messageOf(error))?.[1]
  if (reason !== undefined) return `does not agree on TLS: ${reason}`
  if (code.startsWith('ERR_TLS') || /CERT|SIGNATURE|ISSUER/.test(code))
    return `has a certificate that is not accepted: ${messageOf(error)}`
  return `cannot be asked: ${messageOf(error)}`
}
