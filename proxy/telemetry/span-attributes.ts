import type { Exchange } from '../core/exchange.ts'
import type { Failure } from '../core/failure.ts'
import { grpcCodes } from '../core/grpc.ts'
import type { RequestHead } from '../core/message.ts'
import { key, type SpanWriter } from './span-writer.ts'

/** Attributes that several kinds of spans have, by OpenTelemetry's semantic conventions (HTTP, RPC, network). */

const METHOD = key('http.request.method')
const METHOD_ORIGINAL = key('http.request.method_original')
const STATUS = key('http.response.status_code')
const PATH = key('url.path')
const SCHEME = key('url.scheme')
const SERVER_ADDRESS = key('server.address')
const SERVER_PORT = key('server.port')
const RPC_SYSTEM = key('rpc.system')
const RPC_SERVICE = key('rpc.service')
const RPC_METHOD = key('rpc.method')
const RPC_STATUS = key('rpc.grpc.status_code')
const ERROR_TYPE = key('error.type')
const TRANSPORT = key('network.transport')
const VERSION = key('network.protocol.version')

const KNOWN = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'])

/** `GET /api/*`: the method and the pattern of the route, never what a caller wrote. A tunnel: `TCP cache`. */
export function spanName(exchange: Exchange): string {
  const { request, protocol, route, decision, direction } = exchange
  if (protocol === 'tcp') return direction === 'inbound' || decision.service === '' ? 'TCP' : `TCP ${decision.service}`
  if (isKnownCall(exchange)) return pathOf(request.path).slice(1)
  const method = KNOWN.has(request.method) ? request.method : 'HTTP'
  return route === null ? method : named(method, route.name)
}

/** The last one: most requests of a moment are alike, and a new text is flattened with each use. */
const last = { method: '', route: '', name: '' }

function named(method: string, route: string): string {
  if (last.method !== method || last.route !== route) {
    last.method = method
    last.route = route
    last.name = `${method} ${route}`
  }
  return last.name
}

/** Its server has the method: then its name is one of few, and not whatever a caller wrote. */
function isKnownCall({ grpc, decision }: Exchange): boolean {
  if (grpc === '') return false
  const { tries, attempts } = decision
  for (let i = 0; i < attempts; i++) {
    const { grpcStatus } = tries[i]!
    if (grpcStatus >= 0 && grpcStatus !== UNIMPLEMENTED) return true
  }
  return false
}

const UNIMPLEMENTED = 12

/** Without its query, which may hold secrets. */
export function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

export function writeTransport(span: SpanWriter): void {
  span.text(TRANSPORT, 'tcp')
}

export function writeMethod(span: SpanWriter, method: string): void {
  if (KNOWN.has(method)) return span.text(METHOD, method)
  span.text(METHOD, '_OTHER')
  span.text(METHOD_ORIGINAL, method)
}

export function writePath(span: SpanWriter, path: string): void {
  span.text(PATH, path)
}

export function writeScheme(span: SpanWriter, { scheme }: RequestHead): void {
  span.text(SCHEME, scheme)
}

export function writeCall(span: SpanWriter, { grpc }: Exchange, path: string): void {
  if (grpc === '') return
  span.text(RPC_SYSTEM, 'grpc')
  const slash = path.lastIndexOf('/')
  if (slash <= 0) return
  span.text(RPC_SERVICE, path.slice(1, slash))
  span.text(RPC_METHOD, path.slice(slash + 1))
}

export function writeProtocol(span: SpanWriter, isHttp2: boolean): void {
  span.text(VERSION, isHttp2 ? '2' : '1.1')
}

export function writeServer(span: SpanWriter, address: string, port: number): void {
  span.text(SERVER_ADDRESS, address)
  if (port > 0) span.int(SERVER_PORT, port)
}

/** The host that the caller named. */
export function writeAuthority(span: SpanWriter, authority: string): void {
  const colon = authority.lastIndexOf(':')
  const port = colon > 0 && authority.indexOf(']', colon) < 0 ? Number(authority.slice(colon + 1)) : Number.NaN
  if (port > 0 && port < 65_536) writeServer(span, authority.slice(0, colon), port)
  else writeServer(span, authority, 0)
}

/** How it ended. 0 and negative: nothing was heard. */
export function writeOutcome(span: SpanWriter, status: number, grpcStatus: number): void {
  if (status > 0) span.int(STATUS, status)
  if (grpcStatus >= 0) span.int(RPC_STATUS, grpcStatus)
}

/** A status of Error, and its type: a row of the failure table, a status of gRPC, or one of HTTP. */
export function writeError(span: SpanWriter, failure: Failure | null, status: number, grpcStatus: number): void {
  const type =
    failure?.failure ?? (grpcStatus > 0 ? (grpcCodes[grpcStatus] ?? String(grpcStatus)) : String(status || '_OTHER'))
  span.text(ERROR_TYPE, type)
}
