import type { Clock } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { traceIdOf } from '../core/trace.ts'
import { type JsonField, jsonObject } from './access-log-json.ts'
import {
  beganAt,
  grpcMessage,
  grpcStatusNumber,
  originalPath,
  requestId,
  upstreamServiceTime,
} from './access-log-values.ts'
import { hasFailed } from './failed.ts'
import { flagsOf } from './response-flags.ts'
import { isoTime } from './wall-time.ts'

/** The version of the Elastic Common Schema whose fields these are (elastic.co/guide/en/ecs). */
const ECS = '8.11.0'
const VERSIONS = { 'http/1.1': '1.1', h2: '2', tcp: '' } as const

/** Names with dots are objects to Elasticsearch. Ours, which ECS has no field for, are under `outrigger`. */
export function ecsLine(service: string): (exchange: Exchange, clock: Clock) => string {
  const time = isoTime()
  const fields: readonly JsonField[] = [
    ['@timestamp', 'text', (exchange, clock) => time(beganAt(exchange, clock))],
    ['log.level', 'text', exchange => (hasFailed(exchange) ? 'error' : 'info')],
    ['message', 'text', messageOf],
    ['ecs.version', 'text', () => ECS],
    ['event.kind', 'text', () => 'event'],
    ['event.dataset', 'text', () => 'outrigger.access'],
    ['event.outcome', 'text', exchange => (hasFailed(exchange) ? 'failure' : 'success')],
    ['event.duration', 'number', durationNs],
    ['service.name', 'text', () => service],
    ['trace.id', 'text', traceIdOf],
    ['http.request.id', 'text', requestId],
    ['http.request.method', 'text', exchange => exchange.request.method],
    ['http.request.body.bytes', 'number', exchange => String(exchange.bytesIn)],
    ['http.response.status_code', 'number', ({ status }) => (status === 0 ? '' : String(status))],
    ['http.response.body.bytes', 'number', exchange => String(exchange.bytesOut)],
    ['http.version', 'text', exchange => VERSIONS[exchange.protocol]],
    ['url.domain', 'text', exchange => hostOf(exchange.request.authority)],
    ['url.path', 'text', exchange => pathOf(originalPath(exchange))],
    ['url.query', 'text', exchange => queryOf(originalPath(exchange))],
    ['user_agent.original', 'text', exchange => exchange.request.headers.get('user-agent') ?? ''],
    ['network.transport', 'text', () => 'tcp'],
    [
      'network.protocol',
      'text',
      exchange => (exchange.protocol === 'tcp' ? '' : exchange.grpc === '' ? 'http' : 'grpc'),
    ],
    ['source.address', 'text', exchange => exchange.peer.address],
    ['source.ip', 'text', exchange => exchange.peer.address],
    ['source.port', 'number', exchange => String(exchange.peer.port)],
    ['destination.address', 'text', ({ endpoint }) => endpoint?.spec.address ?? ''],
    ['destination.port', 'number', ({ endpoint }) => (endpoint === null ? '' : String(endpoint.spec.port))],
    ['error.type', 'text', exchange => exchange.failure?.failure ?? ''],
    [
      'error.message',
      'text',
      exchange => (exchange.failure === null ? '' : exchange.detail || exchange.failure.reason),
    ],
    ['outrigger.direction', 'text', exchange => exchange.direction],
    ['outrigger.service', 'text', exchange => exchange.route?.service ?? ''],
    ['outrigger.route', 'text', exchange => exchange.route?.name ?? ''],
    ['outrigger.cluster', 'text', exchange => exchange.cluster?.name ?? ''],
    ['outrigger.flags', 'text', flagsOf],
    ['outrigger.attempts', 'number', exchange => String(exchange.decision.attempts)],
    ['outrigger.upstream_service_time_ms', 'number', upstreamServiceTime],
    ['outrigger.forwarded_for', 'text', exchange => exchange.request.headers.get('x-forwarded-for') ?? ''],
    ['outrigger.grpc_status', 'number', grpcStatusNumber],
    ['outrigger.grpc_message', 'text', grpcMessage],
  ]
  return jsonObject(fields, true)
}

function messageOf({ request, status, protocol, failure }: Exchange): string {
  const end = failure === null ? '' : ` ${failure.flag} ${failure.failure}`
  return protocol === 'tcp' ? `TCP${end}` : `${request.method} ${request.path} ${status}${end}`
}

function durationNs({ startedAt, completedAt }: Exchange): string {
  return startedAt === 0 || completedAt === 0 ? '' : String(Math.max(0, Math.round((completedAt - startedAt) * 1e6)))
}

/** Without the port. */
function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(':')
  return colon < 0 || authority.endsWith(']') ? authority : authority.slice(0, colon)
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

function queryOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? '' : target.slice(query + 1)
}
