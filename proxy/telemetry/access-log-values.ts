import { hostname } from 'node:os'
import type { LogOperator } from '../../mesh-config/log-template.ts'
import type { Clock } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { grpcCodes } from '../core/grpc.ts'
import type { Protocol } from '../core/message.ts'
import { traceIdOf } from '../core/trace.ts'
import { flagsOf } from './response-flags.ts'
import { wallTimeFormat } from './wall-time.ts'

/** The value of an operator; empty: none. */
export type Value = (exchange: Exchange, clock: Clock) => string

/** Empty unless both times are known. */
export function milliseconds(from: number, to: number): string {
  return from === 0 || to === 0 ? '' : String(Math.max(0, Math.round(to - from)))
}

/** The wall time at which an exchange began: its own times are monotonic. */
export function beganAt(exchange: Exchange, clock: Clock): number {
  return clock.wallTime() - (clock.now() - exchange.startedAt)
}

export const duration: Value = exchange => milliseconds(exchange.startedAt, exchange.completedAt)

/** As Envoy's `x-envoy-upstream-service-time`: from sending the request to the first byte of the answer. */
export const upstreamServiceTime: Value = exchange => milliseconds(exchange.upstreamStartedAt, exchange.firstByteAt)

const PROTOCOLS = { 'http/1.1': 'HTTP/1.1', h2: 'HTTP/2', tcp: 'TCP' } as const satisfies Record<Protocol, string>

export const protocol: Value = exchange => PROTOCOLS[exchange.protocol]

export const upstreamHost: Value = exchange => exchange.endpoint?.name ?? ''

/** The proxy sets it when the caller sent none. */
export const requestId: Value = exchange => exchange.requestId || (exchange.request.headers.get('x-request-id') ?? '')

export const grpcStatusNumber: Value = ({ grpcStatus }) => (grpcStatus < 0 ? '' : String(grpcStatus))

export const grpcMessage: Value = exchange => exchange.grpcMessage

/** Envoy's three ways of writing a status; a number without a name stays a number. */
function grpcStatusName(names: readonly string[]): Value {
  return ({ grpcStatus }) => (grpcStatus < 0 ? '' : (names[grpcStatus] ?? String(grpcStatus)))
}

const grpcStatusForms: Readonly<Record<string, Value>> = {
  CAMEL_STRING: grpcStatusName(grpcCodes.map(camelCase)),
  SNAKE_STRING: grpcStatusName(grpcCodes),
  NUMBER: grpcStatusNumber,
}

/** `DEADLINE_EXCEEDED` -> `DeadlineExceeded`; `OK` stays, as in Envoy. */
function camelCase(name: string): string {
  return name === 'OK'
    ? name
    : name.replace(/([A-Z])([A-Z]*)_?/g, (_, first: string, rest: string) => first + rest.toLowerCase())
}

type WithArgument =
  | 'START_TIME'
  | 'EMIT_TIME'
  | 'REQ'
  | 'REQ_WITHOUT_QUERY'
  | 'PATH'
  | 'QUERY_PARAM'
  | 'RESP'
  | 'TRAILER'
  | 'GRPC_STATUS'

const own = hostname()

const simple: Readonly<Record<Exclude<LogOperator, WithArgument>, Value>> = {
  GRPC_STATUS_NUMBER: grpcStatusNumber,
  PROTOCOL: protocol,
  RESPONSE_CODE: exchange => String(exchange.status),
  // The authority of a tunnel is the server name of its TLS.
  REQUESTED_SERVER_NAME: exchange => (exchange.protocol === 'tcp' ? exchange.request.authority : ''),
  TRACE_ID: traceIdOf,
  RESPONSE_CODE_DETAILS: exchange => exchange.failure?.failure ?? 'via_upstream',
  RESPONSE_FLAGS: flagsOf,
  BYTES_RECEIVED: exchange => String(exchange.bytesIn),
  BYTES_SENT: exchange => String(exchange.bytesOut),
  DURATION: duration,
  REQUEST_DURATION: exchange => milliseconds(exchange.startedAt, exchange.requestEndedAt),
  RESPONSE_DURATION: exchange => milliseconds(exchange.startedAt, exchange.firstByteAt),
  RESPONSE_TX_DURATION: exchange => milliseconds(exchange.firstByteAt, exchange.completedAt),
  ROUTE_NAME: exchange => exchange.route?.name ?? '',
  STREAM_ID: requestId,
  HOSTNAME: () => own,
  CONNECTION_TERMINATION_DETAILS: exchange => (exchange.failure?.side === 'downstream' ? exchange.detail : ''),
  UPSTREAM_HOST: upstreamHost,
  UPSTREAM_REMOTE_ADDRESS: upstreamHost,
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: ({ endpoint }) => endpoint?.spec.address ?? '',
  UPSTREAM_REMOTE_PORT: ({ endpoint }) => (endpoint === null ? '' : String(endpoint.spec.port)),
  UPSTREAM_CLUSTER: exchange => exchange.cluster?.name ?? '',
  UPSTREAM_REQUEST_ATTEMPT_COUNT: exchange => String(exchange.decision.attempts),
  UPSTREAM_TRANSPORT_FAILURE_REASON: exchange => exchange.detail,
  DOWNSTREAM_REMOTE_ADDRESS: exchange => `${exchange.peer.address}:${exchange.peer.port}`,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: exchange => exchange.peer.address,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: exchange => `${exchange.peer.address}:${exchange.peer.port}`,
  DOWNSTREAM_REMOTE_PORT: exchange => String(exchange.peer.port),
  DOWNSTREAM_LOCAL_ADDRESS: exchange => `${exchange.peer.local}:${exchange.peer.localPort}`,
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: exchange => exchange.peer.local,
  DOWNSTREAM_LOCAL_PORT: exchange => String(exchange.peer.localPort),
}

export function operatorValue(name: LogOperator, argument: string): Value {
  if (name === 'START_TIME') {
    const format = wallTimeFormat(argument)
    return (exchange, clock) => format(beganAt(exchange, clock))
  }
  if (name === 'EMIT_TIME') {
    const format = wallTimeFormat(argument)
    return (_exchange, clock) => format(clock.wallTime())
  }
  if (name === 'REQ') return firstOf(argument, requestField)
  if (name === 'REQ_WITHOUT_QUERY') return withoutQuery(firstOf(argument, requestField))
  if (name === 'PATH') return argument === 'NQ' ? withoutQuery(originalPath) : originalPath
  if (name === 'QUERY_PARAM') return exchange => queryParameter(exchange.request.path, argument)
  if (name === 'RESP' || name === 'TRAILER') return firstOf(argument, responseField)
  if (name === 'GRPC_STATUS') return grpcStatusForms[argument || 'CAMEL_STRING']!
  return simple[name]
}

/** As the caller wrote it, before a filter changed it. */
export function originalPath({ request }: Exchange): string {
  return request.headers.get('x-envoy-original-path') ?? request.path
}

function withoutQuery(value: Value): Value {
  return (exchange, clock) => {
    const text = value(exchange, clock)
    const query = text.indexOf('?')
    return query < 0 ? text : text.slice(0, query)
  }
}

/** The first of that name, as it is written. */
function queryParameter(target: string, name: string): string {
  const start = target.indexOf('?')
  if (start < 0) return ''
  for (const pair of target.slice(start + 1).split('&'))
    if (pair.startsWith(name) && pair[name.length] === '=') return pair.slice(name.length + 1)
  return ''
}

/** `X?Y`: X, or Y where X is absent. */
function firstOf(argument: string, field: (name: string) => Value): Value {
  const values = argument.split('?').map(name => field(name.toLowerCase()))
  const [first, second] = values
  if (second === undefined) return first!
  return (exchange, clock) => first!(exchange, clock) || second(exchange, clock)
}

function requestField(name: string): Value {
  if (name === ':method') return exchange => exchange.request.method
  if (name === ':path') return exchange => exchange.request.path
  if (name === ':authority' || name === 'host') return exchange => exchange.request.authority
  if (name === ':scheme') return exchange => exchange.request.scheme
  if (name === 'x-request-id') return requestId
  return exchange => exchange.request.headers.get(name) ?? ''
}

function responseField(name: string): Value {
  if (name === 'grpc-status') return grpcStatusNumber
  if (name === 'grpc-message') return grpcMessage
  return name === ':status' ? simple.RESPONSE_CODE : upstreamServiceTime
}
