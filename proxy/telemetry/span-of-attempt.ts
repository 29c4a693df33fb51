import { anotherTry } from '../core/another-try.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import { anotherTryText } from './another-try-words.ts'
import { wayOf } from './attempt-way.ts'
import {
  pathOf,
  spanName,
  writeError,
  writeOutcome,
  writeProtocol,
  writeRequest,
  writeServer,
} from './span-attributes.ts'
import { CLIENT, key, type SpanWriter } from './span-writer.ts'

const FULL = key('url.full')
const PEER_ADDRESS = key('network.peer.address')
const PEER_PORT = key('network.peer.port')
const PEER_SERVICE = key('peer.service')
const RESEND = key('http.request.resend_count')
const ENDPOINT = key('outrigger.endpoint')
const ZONE = key('outrigger.endpoint.zone')
const POLICY = key('outrigger.balancer.policy')
const WAY = key('outrigger.balancer.way')
const LOAD = key('outrigger.balancer.load')
const OTHER = key('outrigger.balancer.other')
const OTHER_LOAD = key('outrigger.balancer.other_load')
const REUSED = key('outrigger.connection.reused')
const HOP = key('outrigger.connection.hop')
const RETRY = key('outrigger.retry')
const FLAG = key('outrigger.response_flag')

/** The attempt has something to show of a span: it had an endpoint. */
export function hasSpan(record: AttemptRecord): boolean {
  return record.endpoint !== null
}

/**
 * The CLIENT span of an attempt. `index`: which of the attempts it is, from 0. `made`: attempts that count against
 * `retries.attempts`, this one included. `epoch`: milliseconds to add to monotonic ones.
 */
export function writeAttempt(
  span: SpanWriter,
  exchange: Exchange,
  record: AttemptRecord,
  index: number,
  made: number,
  epoch: number,
): void {
  const { request, protocol, cluster } = exchange
  const { address, port } = record.endpoint!.spec
  const isTunnel = protocol === 'tcp'
  span.what(spanName(exchange), CLIENT, record.startedAt + epoch, (record.endedAt || exchange.completedAt) + epoch)
  writeRequest(span, exchange)
  if (!isTunnel) {
    span.text(FULL, `${request.scheme}://${request.authority}${pathOf(request.path)}`)
    writeProtocol(span, record.carried || cluster?.mayBeGrpc === true)
    writeOutcome(span, record.status, record.grpcStatus)
  }
  if (index > 0) span.int(RESEND, index)
  writeServer(span, address, port)
  span.text(PEER_ADDRESS, address)
  span.int(PEER_PORT, port)
  span.text(PEER_SERVICE, exchange.decision.service)
  writeChoice(span, record)
  if (record.reusedConnection) span.bool(REUSED, true)
  if (record.carried) span.bool(HOP, true)
  span.text(RETRY, anotherTryText(record, made))
  writeEnd(span, record, epoch)
}

/** Why this endpoint. */
function writeChoice(span: SpanWriter, record: AttemptRecord): void {
  const endpoint = record.endpoint!
  span.text(ENDPOINT, endpoint.name)
  span.text(ZONE, endpoint.spec.zone)
  span.text(POLICY, record.policy)
  const way = wayOf(record)
  if (way.length > 0) span.texts(WAY, way)
  if (record.other === null) return
  span.double(LOAD, record.load)
  span.text(OTHER, record.other.name)
  span.double(OTHER_LOAD, record.otherLoad)
}

function writeEnd(span: SpanWriter, record: AttemptRecord, epoch: number): void {
  const { failure, status, grpcStatus, headAt, endedAt, detail } = record
  if (headAt !== 0 && endedAt - headAt > 1) {
    span.event('response head', headAt + epoch)
    span.endEvent()
  }
  if (failure !== null) span.text(FLAG, failure.flag)
  // A caller that goes away, or a deadline of its own, is no error of the endpoint's.
  if (failure !== null && failure.side === 'downstream') return
  if (failure === null && status < 400 && grpcStatus <= 0) return
  writeError(span, failure, status, grpcStatus)
  span.error(failure === null ? '' : detail === '' ? failure.reason : `${failure.reason}: ${detail}`)
}

/** A fresh connection after a stale one is not an attempt of the policy's. */
export function countsAsAttempt({ another }: AttemptRecord): boolean {
  return another !== anotherTry.onStaleConnection
}
