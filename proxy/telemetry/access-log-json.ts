import type { Clock } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { jsonText } from '../core/printable.ts'
import { traceIdOf } from '../core/trace.ts'
import {
  beganAt,
  duration,
  grpcMessage,
  grpcStatusNumber,
  protocol,
  requestId,
  upstreamHost,
  upstreamServiceTime,
  type Value,
} from './access-log-values.ts'
import { flagsOf } from './response-flags.ts'
import { isoTime } from './wall-time.ts'

const startTime = isoTime()

/** A field of a JSON line: its name, whether its value is a number, and the value; empty is null, or leaves it out. */
export type JsonField = readonly [name: string, kind: 'text' | 'number', value: Value]

/** In the order in which they are written. Numbers stay numbers, absent values are null. */
const fields: readonly JsonField[] = [
  ['start_time', 'text', (exchange, clock) => startTime(beganAt(exchange, clock))],
  ['direction', 'text', exchange => exchange.direction],
  ['method', 'text', exchange => exchange.request.method],
  ['path', 'text', exchange => exchange.request.headers.get('x-envoy-original-path') ?? exchange.request.path],
  ['protocol', 'text', protocol],
  ['response_code', 'number', exchange => String(exchange.status)],
  ['grpc_status', 'number', grpcStatusNumber],
  ['grpc_message', 'text', grpcMessage],
  ['response_flags', 'text', flagsOf],
  ['response_code_details', 'text', exchange => exchange.failure?.failure ?? 'via_upstream'],
  ['detail', 'text', exchange => exchange.detail],
  ['bytes_received', 'number', exchange => String(exchange.bytesIn)],
  ['bytes_sent', 'number', exchange => String(exchange.bytesOut)],
  ['duration', 'number', duration],
  ['upstream_service_time', 'number', upstreamServiceTime],
  ['x_forwarded_for', 'text', exchange => exchange.request.headers.get('x-forwarded-for') ?? ''],
  ['user_agent', 'text', exchange => exchange.request.headers.get('user-agent') ?? ''],
  ['request_id', 'text', requestId],
  ['trace_id', 'text', traceIdOf],
  ['authority', 'text', exchange => exchange.request.authority],
  ['downstream_remote_address', 'text', exchange => `${exchange.peer.address}:${exchange.peer.port}`],
  ['service', 'text', exchange => exchange.route?.service ?? ''],
  ['route_name', 'text', exchange => exchange.route?.name ?? ''],
  ['upstream_cluster', 'text', exchange => exchange.cluster?.name ?? ''],
  ['upstream_host', 'text', upstreamHost],
  ['upstream_request_attempt_count', 'number', exchange => String(exchange.decision.attempts)],
]

/** `isSparse`: a field without a value is left out; else it is null. */
export function jsonObject(all: readonly JsonField[], isSparse = false): (exchange: Exchange, clock: Clock) => string {
  const starts = all.map(([name]) => `,${quoted(name)}:`)
  return (exchange, clock) => {
    let line = ''
    for (let i = 0; i < all.length; i++) {
      const [, kind, value] = all[i]!
      const text = value(exchange, clock)
      if (text === '') line += isSparse ? '' : `${starts[i]!}null`
      else line += starts[i]! + (kind === 'number' ? text : quoted(text))
    }
    return `{${line.slice(1)}}\n`
  }
}

/** Matches values that need escaping, which are few. */
const awkward = /[^\x20\x21\x23-\x5b\x5d-\x7e]/

function quoted(text: string): string {
  return awkward.test(text) ? jsonText(text) : `"${text}"`
}

/** One JSON object on one line, under the names that Envoy's operators have. */
export const jsonLine = jsonObject(fields)
